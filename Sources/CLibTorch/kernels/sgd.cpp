// SPDX-License-Identifier: Apache-2.0
//
// The SGD update as one pass over the flat buffers.

#include "sgd.h"

#include "../cuda/kernels.h"

namespace coherent {
namespace {

// One span of the update. True when every updated parameter is finite; asked by way of integers, because a maximum of
// integers is a vector operation and one of floats, with its NaN rules, is not.
template <typename scalar, bool has_velocity>
inline bool update(scalar *__restrict parameter, const scalar *__restrict gradient, scalar *__restrict velocity,
                   int64_t count, const ct_sgd_options o) {
  const scalar decay = o.weight_decay, scale = o.gradient_scale;
  decltype(magnitude(scalar(0))) largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    const scalar direction = scale * gradient[i] + decay * parameter[i];
    const scalar next = stepped<scalar, has_velocity>(parameter[i], direction, velocity + (has_velocity ? i : 0), o);
    parameter[i] = next;
    largest = std::max(largest, magnitude(next));
  }
  return is_finite<scalar>(largest);
}

CT_CLONES bool update_span(float *p, const float *g, float *v, int64_t n, const ct_sgd_options &o) {
  return v == nullptr ? update<float, false>(p, g, v, n, o) : update<float, true>(p, g, v, n, o);
}
bool update_span(double *p, const double *g, double *v, int64_t n, const ct_sgd_options &o) {
  return v == nullptr ? update<double, false>(p, g, v, n, o) : update<double, true>(p, g, v, n, o);
}

}  // namespace
}  // namespace coherent

ct_status *ct_sgd_step(const ct_tensor *parameters, const ct_tensor *gradient, const ct_tensor *velocity,
                       ct_sgd_options options, bool *finite) {
  using namespace coherent;
  return guarded([&] {
    const at::Tensor &p = parameters->value, &g = gradient->value;
    TORCH_CHECK_VALUE(p.numel() == g.numel() && p.scalar_type() == g.scalar_type() && p.is_contiguous() &&
                          g.is_contiguous() && p.device() == g.device(),
                      "parameters ", p.sizes(), " and gradient ", g.sizes(), " must be alike and contiguous");
    TORCH_CHECK_VALUE(options.momentum == 0 || velocity != nullptr, "momentum needs a velocity buffer");
    if (velocity != nullptr) {
      const at::Tensor &v = velocity->value;
      TORCH_CHECK_VALUE(v.numel() == p.numel() && v.scalar_type() == p.scalar_type() && v.is_contiguous() &&
                            v.device() == p.device(),
                        "parameters ", p.sizes(), " and velocity ", v.sizes(), " must be alike and contiguous");
    }
    at::NoGradGuard no_grad;
    if (cuda::sgd_step(p, g, optional(velocity), options, *finite)) return;
    if (!is_real_on_cpu(p)) {
      auto direction = g * options.gradient_scale;
      if (options.weight_decay != 0) direction = direction.add(p, options.weight_decay);
      *finite = step_along(p, direction, optional(velocity), options);
      return;
    }
    const bool are_finite = update_spans(p, [&](auto number, int64_t start, int64_t count) {
      using scalar = decltype(number);
      scalar *v = velocity == nullptr ? nullptr : velocity->value.data_ptr<scalar>() + start;
      return update_span(p.data_ptr<scalar>() + start, read<scalar>(g) + start, v, count, options);
    });
    *finite = options.unchecked || are_finite;
  });
}
