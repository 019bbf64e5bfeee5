// SPDX-License-Identifier: Apache-2.0
//
// What every fused update shares once its direction is known.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <limits>

#include "../support.h"

namespace coherent {

// The bits of a number without its sign, which grow with its size: those of infinity and NaN are the largest.
inline uint32_t magnitude(float x) { return std::bit_cast<uint32_t>(x) & 0x7fffffffu; }
inline uint64_t magnitude(double x) { return std::bit_cast<uint64_t>(x) & 0x7fffffffffffffffu; }

// A parameter after a step along `direction`, by way of its velocity when there is one.
template <typename scalar, bool has_velocity>
CT_INLINE scalar stepped(scalar parameter, scalar direction, scalar *velocity, const ct_sgd_options &o) {
  if constexpr (has_velocity) {
    const scalar momentum = o.momentum, fresh = 1 - o.dampening;
    // On the first step the velocity is not read: it may be memory that nobody has written.
    const scalar v = o.first_step ? direction : momentum * *velocity + fresh * direction;
    *velocity = v;
    direction = o.nesterov ? direction + momentum * v : v;
  }
  return parameter - static_cast<scalar>(o.learning_rate) * direction;
}

// Whether the largest magnitude seen belongs to a finite number.
template <typename scalar>
inline bool is_finite(decltype(magnitude(scalar(0))) largest) {
  return largest < magnitude(std::numeric_limits<scalar>::infinity());
}

// Runs update(a number of the parameters' type, start, length) over spans of the parameters, which says whether all
// that it wrote is finite; whether all of them are.
template <typename Update>
bool update_spans(const at::Tensor &parameters, const Update &update) {
  std::atomic<bool> good{true};
  for_each_span(parameters.numel(), [&](int64_t start, int64_t count) {
    const bool ok = with_scalar(parameters, [&](auto number) { return update(number, start, count); });
    if (!ok) good.store(false, std::memory_order_relaxed);
  });
  // The writes went past libtorch: a graph that saved the parameters must learn that they are no longer the same.
  parameters.unsafeGetTensorImpl()->bump_version();
  return good.load();
}

// A step by libtorch's own operations, for other element types and devices; whether all parameters are finite, where
// somebody looks.
inline bool step_along(at::Tensor parameters, at::Tensor direction, const std::optional<at::Tensor> &velocity,
                       const ct_sgd_options &o) {
  if (velocity) {
    at::Tensor v = *velocity;
    o.first_step ? v.copy_(direction) : v.mul_(o.momentum).add_(direction, 1 - o.dampening);
    direction = o.nesterov ? direction.add(v, o.momentum) : v;
  }
  parameters.sub_(direction, o.learning_rate);
  return o.unchecked || parameters.isfinite().all().item<bool>();
}

}  // namespace coherent
