// SPDX-License-Identifier: Apache-2.0
//
// Masks of agreement over a mean gradient, as one pass over the flat buffers.

#include <cmath>

#include "../support.h"

namespace coherent {
namespace {

template <typename scalar>
CT_INLINE int64_t keep(scalar *gradient, const scalar *votes, int64_t count, scalar needed) {
  int64_t kept = 0;
  for (int64_t i = 0; i < count; ++i) {
    const bool agrees = std::abs(votes[i]) > needed;
    // By a product, which leaves what is no number as it is: the update has to hear of it.
    gradient[i] *= agrees ? scalar(1) : scalar(0);
    kept += agrees ? 1 : 0;
  }
  return kept;
}

CT_CLONES int64_t keep_span(float *g, const float *v, int64_t n, double needed) {
  return keep<float>(g, v, n, static_cast<float>(needed));
}
CT_CLONES int64_t keep_span(double *g, const double *v, int64_t n, double needed) {
  return keep<double>(g, v, n, needed);
}

// max(0, tanh x), which is 1 to the last bit from 20 on.
// NaN stays NaN.
inline double softly(double x) { return x <= 0 ? 0 : x >= 20 ? 1 : std::tanh(x); }

// The mask of each coordinate is applied; their sum comes back.
template <typename scalar>
double soften(scalar *gradient, const scalar *squares, const scalar *votes, int64_t count, const ct_soft_mask_options &o) {
  const double share = 1 / o.count, unbiased = o.count / (o.count - 1);
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double mean = gradient[i], agreement = std::abs(static_cast<double>(votes[i])) * share - o.threshold;
    // Rounding must leave no negative variance, and equal gradients have the variance 0: there the mask is 1 or 0.
    const double variance = std::max(0.0, static_cast<double>(squares[i]) * share - mean * mean) * unbiased;
    const double mask = softly(agreement / (variance + 1e-300) * o.sharpness);
    gradient[i] = static_cast<scalar>(mean * mask);
    sum += mask;
  }
  return sum;
}

void check_alike(const at::Tensor &g, const at::Tensor &other) {
  TORCH_CHECK_VALUE(g.numel() == other.numel() && g.scalar_type() == other.scalar_type() && g.is_contiguous() &&
                        other.is_contiguous() && g.device() == other.device(),
                    "a gradient ", g.sizes(), " and what masks it, ", other.sizes(), ", must be alike and contiguous");
}

}  // namespace
}  // namespace coherent

ct_status *ct_mask_by_votes(const ct_tensor *gradient, const ct_tensor *votes, double needed, int64_t *kept) {
  using namespace coherent;
  return guarded([&] {
    at::Tensor g = gradient->value;
    const at::Tensor &v = votes->value;
    check_alike(g, v);
    at::NoGradGuard no_grad;
    if (!is_real_on_cpu(g)) {
      const at::Tensor mask = v.abs().gt(needed);
      g.mul_(mask);
      *kept = mask.sum().item<int64_t>();
      return;
    }
    std::atomic<int64_t> total{0};
    for_each_span(g.numel(), [&](int64_t start, int64_t count) {
      total += with_scalar(g, [&](auto number) {
        using scalar = decltype(number);
        return keep_span(g.data_ptr<scalar>() + start, read<scalar>(v) + start, count, needed);
      });
    });
    g.unsafeGetTensorImpl()->bump_version();
    *kept = total;
  });
}

ct_status *ct_mask_softly(const ct_tensor *gradient, const ct_tensor *squares, const ct_tensor *votes,
                          ct_soft_mask_options options, double *total) {
  using namespace coherent;
  return guarded([&] {
    at::Tensor g = gradient->value;
    const at::Tensor &s = squares->value, &v = votes->value;
    check_alike(g, s);
    check_alike(g, v);
    TORCH_CHECK_VALUE(options.count >= 2, "a variance needs two examples, not ", options.count);
    at::NoGradGuard no_grad;
    if (!is_real_on_cpu(g)) {
      const at::Tensor mean = g.to(at::kDouble), share = v.to(at::kDouble).abs() / options.count - options.threshold;
      const at::Tensor variance = (s.to(at::kDouble) / options.count - mean.square()).clamp_min(0) *
                                  (options.count / (options.count - 1));
      const at::Tensor mask = (share / (variance + 1e-300) * options.sharpness).clamp(0, 1e6).tanh();
      g.copy_(mean * mask);
      *total = mask.sum().item<double>();
      return;
    }
    // Added up in the order of the spans, whoever took them.
    std::vector<double> sums((g.numel() + span_length - 1) / span_length);
    for_each_span(g.numel(), [&](int64_t start, int64_t count) {
      sums[start / span_length] = with_scalar(g, [&](auto number) {
        using scalar = decltype(number);
        return soften(g.data_ptr<scalar>() + start, read<scalar>(s) + start, read<scalar>(v) + start, count, options);
      });
    });
    g.unsafeGetTensorImpl()->bump_version();
    *total = 0;
    for (double sum : sums) *total += sum;
  });
}
