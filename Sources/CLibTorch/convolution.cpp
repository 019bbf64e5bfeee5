// SPDX-License-Identifier: Apache-2.0
//
// Convolution and normalisation, and the weight gradient of a convolution one example at a time.

#include <ATen/ATen.h>

#include "bounds.h"
#include "support.h"

using coherent::optional;
using coherent::pair;
using coherent::producing;

ct_status *ct_convolution(ct_tensor **out, const ct_tensor *input, const ct_tensor *weight, const ct_tensor *bias,
                          const int64_t *geometry, int64_t groups) {
  return producing(out, [&] {
    TORCH_CHECK_VALUE(weight->value.dim() == 4, "the weight must be [O, C, kh, kw], not ", weight->value.sizes());
    coherent::check_window(weight->value.sizes().data() + 2, geometry);
    const auto plain = coherent::plain_geometry(weight->value.sizes().data() + 2, geometry);
    return at::conv2d(input->value, weight->value, optional(bias), pair(&plain[0]), pair(&plain[2]), pair(&plain[4]),
                      groups);
  });
}

ct_status *ct_unfold(ct_tensor **out, const ct_tensor *input, const int64_t *kernel, const int64_t *geometry) {
  return producing(out, [&] {
    coherent::check_window(kernel, geometry);
    return at::im2col(input->value, pair(kernel), pair(geometry + 4), pair(geometry + 2), pair(geometry));
  });
}

ct_status *ct_batch_norm(ct_tensor **out, const ct_tensor *input, const ct_tensor *weight, const ct_tensor *bias,
                         const ct_tensor *mean, const ct_tensor *variance, bool training, double momentum,
                         double epsilon) {
  return producing(out, [&] {
    return at::batch_norm(input->value, optional(weight), optional(bias), optional(mean), optional(variance), training,
                          momentum, epsilon, /*cudnn_enabled=*/true);
  });
}

CT_OPERATION(ct_group_norm, at::group_norm(input->value, groups, optional(weight), optional(bias), epsilon),
             const ct_tensor *input, int64_t groups, const ct_tensor *weight, const ct_tensor *bias, double epsilon)

ct_status *ct_layer_norm(ct_tensor **out, const ct_tensor *input, const int64_t *shape, int64_t rank,
                         const ct_tensor *weight, const ct_tensor *bias, double epsilon) {
  return producing(out, [&] {
    return at::layer_norm(input->value, coherent::dimensions(shape, rank), optional(weight), optional(bias), epsilon);
  });
}

// The batch is folded into the channels and each example becomes a group: the ordinary weight gradient of that wide
// convolution holds every example's own.
ct_status *ct_convolution_example_gradients(ct_tensor **out, const ct_tensor *input, const ct_tensor *output_gradient,
                                            const int64_t *kernel, const int64_t *geometry, int64_t groups) {
  return producing(out, [&] {
    const at::Tensor &x = input->value, &d = output_gradient->value;
    coherent::check_convolution(x, d, kernel, geometry, groups);
    const int64_t batch = x.size(0), channels = x.size(1), outputs = d.size(1);
    at::NoGradGuard no_grad;
    const auto wide_x = x.reshape({1, batch * channels, x.size(2), x.size(3)});
    const auto wide_d = d.reshape({1, batch * outputs, d.size(2), d.size(3)});
    const auto weight = at::empty({1}, x.options()).expand({batch * outputs, channels / groups, kernel[0], kernel[1]});
    const auto gradients =
        at::convolution_backward(wide_d, wide_x, weight, std::nullopt, pair(geometry), pair(geometry + 2),
                                 pair(geometry + 4), /*transposed=*/false, {0, 0}, batch * groups, {false, true, false});
    return std::get<1>(gradients).reshape({batch, outputs, channels / groups, kernel[0], kernel[1]});
  });
}

ct_status *ct_convolution_weight_gradient(ct_tensor **out, const ct_tensor *input, const ct_tensor *output_gradient,
                                          const int64_t *kernel, const int64_t *geometry, int64_t groups) {
  return producing(out, [&] {
    const at::Tensor &x = input->value, &d = output_gradient->value;
    coherent::check_convolution(x, d, kernel, geometry, groups);
    at::NoGradGuard no_grad;
    // Only the shape of the weight is looked at.
    const auto weight = at::empty({1}, x.options()).expand({d.size(1), x.size(1) / groups, kernel[0], kernel[1]});
    return std::get<1>(at::convolution_backward(d, x, weight, std::nullopt, pair(geometry), pair(geometry + 2),
                                                pair(geometry + 4), /*transposed=*/false, {0, 0}, groups,
                                                {false, true, false}));
  });
}
