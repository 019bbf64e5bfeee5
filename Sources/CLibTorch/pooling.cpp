// SPDX-License-Identifier: Apache-2.0

#include <ATen/ATen.h>

#include "bounds.h"
#include "support.h"

using coherent::pair;
using coherent::producing;

ct_status *ct_max_pool(ct_tensor **out, const ct_tensor *input, const int64_t *geometry, bool ceiling) {
  return producing(out, [&] {
    coherent::check_window(geometry, geometry + 2);
    return at::max_pool2d(input->value, pair(geometry), pair(geometry + 2), pair(geometry + 4), pair(geometry + 6),
                          ceiling);
  });
}

ct_status *ct_average_pool(ct_tensor **out, const ct_tensor *input, const int64_t *geometry, bool ceiling,
                           bool counts_padding) {
  return producing(out, [&] {
    const int64_t rest[6] = {geometry[2], geometry[3], geometry[4], geometry[5], 1, 1};
    coherent::check_window(geometry, rest);
    return at::avg_pool2d(input->value, pair(geometry), pair(geometry + 2), pair(geometry + 4), ceiling,
                          counts_padding);
  });
}

CT_OPERATION(ct_adaptive_average_pool, at::adaptive_avg_pool2d(input->value, {height, width}),
             const ct_tensor *input, int64_t height, int64_t width)

ct_status *ct_padded_shortcut(ct_tensor **out, const ct_tensor *input, int64_t stride, int64_t channels) {
  return producing(out, [&] {
    const at::Tensor &x = input->value;
    TORCH_CHECK_VALUE(x.dim() == 4 && stride >= 1 && channels >= x.size(1), "input ", x.sizes(),
                      " has no padded shortcut to ", channels, " channels");
    const auto rest = stride == 1 ? x : x.slice(2, 0, x.size(2), stride).slice(3, 0, x.size(3), stride);
    return channels == x.size(1) ? rest.alias() : at::constant_pad_nd(rest, {0, 0, 0, 0, 0, channels - x.size(1)});
  });
}
