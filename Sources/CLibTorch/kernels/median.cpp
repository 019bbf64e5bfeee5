// SPDX-License-Identifier: Apache-2.0
//
// Medians of a few gradients, coordinate by coordinate, and the update from the median or mean of the last three.
// The median of three is max(min(a, b), min(max(a, b), c)): sum − min − max is not exact and can have the wrong sign.

#include "median.h"

#include <limits>

#include "../bounds.h"
#include "../cuda/kernels.h"
#include "sgd.h"

namespace coherent {
namespace {

template <typename scalar>
inline scalar lesser(scalar a, scalar b) {
  return a < b ? a : b;
}
template <typename scalar>
inline scalar greater(scalar a, scalar b) {
  return a > b ? a : b;
}

template <typename scalar>
inline scalar median(scalar a, scalar b, scalar c) {
  const scalar middle = greater(lesser(a, b), lesser(greater(a, b), c));
  const bool ordered = (a == a) & (b == b) & (c == c);
  return ordered ? middle : std::numeric_limits<scalar>::quiet_NaN();
}

template <typename scalar>
inline void median_of_three(scalar *__restrict target, const scalar *__restrict a, const scalar *__restrict b,
                            const scalar *__restrict c, int64_t count) {
  for (int64_t i = 0; i < count; ++i) target[i] = median(a[i], b[i], c[i]);
}

// Keeps the (k + 1)/2 smallest by insertion; the largest of them is the median.
template <int k>
inline void median_of_many(float *__restrict target, const float *__restrict rows, int64_t stride, int64_t count) {
  constexpr int kept = (k + 1) / 2;
  for (int64_t i = 0; i < count; ++i) {
    float smallest[kept];
    for (int j = 0; j < kept; ++j) smallest[j] = std::numeric_limits<float>::infinity();
    bool ordered = true;
    for (int g = 0; g < k; ++g) {
      float v = rows[g * stride + i];
      ordered &= v == v;
      for (int j = 0; j < kept; ++j) {
        const float s = lesser(v, smallest[j]);
        v = greater(v, smallest[j]);
        smallest[j] = s;
      }
    }
    target[i] = ordered ? smallest[kept - 1] : std::numeric_limits<float>::quiet_NaN();
  }
}

CT_CLONES void median3(float *t, const float *rows, int64_t stride, int64_t n) {
  median_of_three(t, rows, rows + stride, rows + 2 * stride, n);
}
CT_CLONES void median5(float *t, const float *rows, int64_t stride, int64_t n) { median_of_many<5>(t, rows, stride, n); }
CT_CLONES void median7(float *t, const float *rows, int64_t stride, int64_t n) { median_of_many<7>(t, rows, stride, n); }
CT_CLONES void median9(float *t, const float *rows, int64_t stride, int64_t n) { median_of_many<9>(t, rows, stride, n); }

CT_CLONES void add_row(float *__restrict sum, const float *__restrict row, int64_t count) {
  for (int64_t i = 0; i < count; ++i) sum[i] += row[i];
}

// One span of the update; true when every updated parameter is finite.
template <typename scalar, bool is_median, bool has_velocity>
inline bool update(scalar *__restrict parameter, scalar *__restrict current, const scalar *__restrict previous,
                   const scalar *__restrict before, scalar *__restrict velocity, int64_t count,
                   const ct_sgd_options o, bool decays_before) {
  const scalar early = decays_before ? o.weight_decay : 0, late = decays_before ? 0 : o.weight_decay;
  decltype(magnitude(scalar(0))) largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    // Decayed before, the gradient stays so: it was taken at these weights.
    const scalar own = current[i] + early * parameter[i];
    if (early != 0) current[i] = own;
    scalar direction = is_median ? median(own, previous[i], before[i]) : (own + previous[i] + before[i]) / 3;
    direction += late * parameter[i];
    const scalar next = stepped<scalar, has_velocity>(parameter[i], direction, velocity + (has_velocity ? i : 0), o);
    parameter[i] = next;
    largest = std::max(largest, magnitude(next));
  }
  return is_finite<scalar>(largest);
}

CT_CLONES bool update_median(float *p, float *a, const float *b, const float *c, float *v, int64_t n,
                             const ct_sgd_options &o, bool before) {
  return v == nullptr ? update<float, true, false>(p, a, b, c, v, n, o, before)
                      : update<float, true, true>(p, a, b, c, v, n, o, before);
}
CT_CLONES bool update_mean(float *p, float *a, const float *b, const float *c, float *v, int64_t n,
                           const ct_sgd_options &o, bool before) {
  return v == nullptr ? update<float, false, false>(p, a, b, c, v, n, o, before)
                      : update<float, false, true>(p, a, b, c, v, n, o, before);
}
bool update_span(float *p, float *a, const float *b, const float *c, float *v, int64_t n, const ct_sgd_options &o,
                 bool before, bool is_median) {
  return (is_median ? update_median : update_mean)(p, a, b, c, v, n, o, before);
}
bool update_span(double *p, double *a, const double *b, const double *c, double *v, int64_t n, const ct_sgd_options &o,
                 bool before, bool is_median) {
  if (is_median) {
    return v == nullptr ? update<double, true, false>(p, a, b, c, v, n, o, before)
                        : update<double, true, true>(p, a, b, c, v, n, o, before);
  }
  return v == nullptr ? update<double, false, false>(p, a, b, c, v, n, o, before)
                      : update<double, false, true>(p, a, b, c, v, n, o, before);
}

}  // namespace

void median_of(float *target, const float *sums, int64_t stride, int64_t k, int64_t count) {
  switch (k) {
    case 3: return median3(target, sums, stride, count);
    case 5: return median5(target, sums, stride, count);
    case 7: return median7(target, sums, stride, count);
    default: return median9(target, sums, stride, count);
  }
}

void row_median(float *target, const float *rows, int64_t k, int64_t count) {
  for_each_span(count, [&](int64_t start, int64_t length) {
    median_of(target + start, rows + start, count, k, length);
  });
}

}  // namespace coherent

ct_status *ct_row_median(const ct_tensor *target, const ct_tensor *rows) {
  using namespace coherent;
  return guarded([&] {
    const at::Tensor &t = target->value, &r = rows->value;
    TORCH_CHECK_VALUE(r.dim() == 2 && t.dim() == 1 && t.size(0) == r.size(1) && t.scalar_type() == r.scalar_type(),
                      "target ", t.sizes(), " does not fit rows ", r.sizes());
    const int64_t k = r.size(0), count = r.size(1);
    TORCH_CHECK_VALUE(k % 2 == 1, "the median is taken of an odd number of rows, not ", k);
    at::NoGradGuard no_grad;
    if (cuda::row_median(t, r)) return;
    if (!is_plain(t) || !is_plain(r) || k < 3 || k > largest_median) {
      at::Tensor(t).copy_(std::get<0>(r.median(0)));
      return;
    }
    row_median(t.data_ptr<float>(), read<float>(r), k, count);
  });
}

ct_status *ct_group_mean_median(const ct_tensor *target, const ct_tensor *rows, const ct_range *ranges, int64_t groups) {
  using namespace coherent;
  return guarded([&] {
    const at::Tensor &t = target->value, &r = rows->value;
    TORCH_CHECK_VALUE(r.dim() == 2 && t.dim() == 1 && t.size(0) == r.size(1) && is_plain(t) && is_plain(r),
                      "target ", t.sizes(), " and rows ", r.sizes(), " must be contiguous float32 that fit");
    TORCH_CHECK_VALUE(groups >= 3 && groups <= largest_median && groups % 2 == 1, "the median of ", groups,
                      " groups is not supported: use 3, 5, 7 or 9");
    const auto ends = group_ends(ranges, groups, r.size(0));
    const int64_t count = r.size(1);
    auto means = at::zeros({groups, count}, at::kFloat);
    for (int64_t group = 0, row = 0; group < groups; ++group) {
      const int64_t first = row;
      float *mean = means.data_ptr<float>() + group * count;
      for (; row < ends[group]; ++row) add_row(mean, read<float>(r) + row * count, count);
      for (int64_t i = 0; i < count; ++i) mean[i] /= float(row - first);
    }
    row_median(t.data_ptr<float>(), read<float>(means), groups, count);
  });
}

ct_status *ct_three_gradient_step(const ct_tensor *parameters, const ct_tensor *current, const ct_tensor *previous,
                                  const ct_tensor *before, const ct_tensor *velocity, ct_sgd_options options,
                                  bool is_median, bool decays_before, bool *finite) {
  using namespace coherent;
  return guarded([&] {
    const at::Tensor &p = parameters->value, &a = current->value, &b = previous->value, &c = before->value;
    TORCH_CHECK_VALUE(options.momentum == 0 || velocity != nullptr, "momentum needs a velocity buffer");
    for (const ct_tensor *other : {current, previous, before, velocity}) {
      if (other == nullptr) continue;
      const at::Tensor &t = other->value;
      TORCH_CHECK_VALUE(t.numel() == p.numel() && t.scalar_type() == p.scalar_type() && t.is_contiguous() &&
                            p.is_contiguous() && t.device() == p.device(),
                        "parameters ", p.sizes(), " and gradients ", t.sizes(), " must be alike and contiguous");
    }
    at::NoGradGuard no_grad;
    if (cuda::three_gradient_step(p, a, b, c, optional(velocity), options, is_median, decays_before, *finite)) return;
    if (!is_real_on_cpu(p)) {
      if (decays_before && options.weight_decay != 0) at::Tensor(a).add_(p, options.weight_decay);
      auto direction = is_median ? std::get<0>(at::stack({a, b, c}).median(0)) : (a + b + c) / 3;
      if (!decays_before && options.weight_decay != 0) direction = direction.add(p, options.weight_decay);
      *finite = step_along(p, direction, optional(velocity), options);
      return;
    }
    const bool are_finite = update_spans(p, [&](auto number, int64_t start, int64_t count) {
      using scalar = decltype(number);
      scalar *v = velocity == nullptr ? nullptr : velocity->value.data_ptr<scalar>() + start;
      return update_span(p.data_ptr<scalar>() + start, a.data_ptr<scalar>() + start, read<scalar>(b) + start,
                         read<scalar>(c) + start, v, count, options, decays_before, is_median);
    });
    *finite = options.unchecked || are_finite;
  });
}
