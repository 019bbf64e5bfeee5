// SPDX-License-Identifier: Apache-2.0
//
// Masks of agreement over a mean gradient, as one pass over the flat buffers.

#include <algorithm>
#include <cmath>

#include "../support.h"

namespace coherent {
namespace {

template <typename scalar>
CT_INLINE int64_t keep(scalar *gradient, const scalar *votes, int64_t count, scalar needed) {
  // A span has fewer than 2³¹; 32 bits are as wide as what they are counted beside.
  int32_t kept = 0;
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

// What a soft mask needs of the options.
struct Slope {
  double share, least, sharpness, unbiased;
};

// The votes that a threshold asks for of so many: a whole number where it is one but for rounding, so that as many votes have
// the mask 0.
double least_votes(double threshold, double count) {
  const double least = threshold * count, whole = std::round(least);
  return std::abs(least - whole) < 1e-6 ? whole : least;
}

// gradient becomes gradient·mask over some coordinates, mask = max(0, tanh(sharpness·(|votes|/B − threshold)/variance)), which
// is 1 to the last bit from tanh 20 on; NaN stays NaN. The sum of the masks comes back. Few coordinates are on the slope
// between: their places are listed first, without a branch, and only they take a quotient and its tanh.
template <typename scalar>
CT_INLINE double soften(scalar *__restrict gradient, const scalar *__restrict squares, const scalar *__restrict votes,
                        int64_t count, const Slope slope) {
  constexpr int64_t block = 512, lanes = 8;
  double rise[block], run[block], mask[block], sums[lanes] = {};
  int32_t between[block];
  for (int64_t start = 0; start < count; start += block) {
    const int64_t width = std::min(block, count - start);
    scalar *own = gradient + start;
    for (int64_t i = 0; i < width; ++i) {
      const double mean = own[i], vote = votes[start + i];
      // Rounding must leave no negative variance, and equal gradients have the variance 0: there the mask is 1 or 0.
      const double variance = static_cast<double>(squares[start + i]) * slope.share - mean * mean;
      rise[i] = (std::abs(vote) - slope.least) * slope.share * slope.sharpness;
      run[i] = (variance > 0 ? variance : 0) * slope.unbiased + 1e-300;
      mask[i] = rise[i] >= 20 * run[i] ? 1 : 0;
    }
    int32_t listed = 0;
    for (int32_t i = 0; i < width; ++i) {
      between[listed] = i;
      listed += !(rise[i] <= 0) & !(rise[i] >= 20 * run[i]);
    }
    for (int32_t k = 0; k < listed; ++k) mask[between[k]] = std::tanh(rise[between[k]] / run[between[k]]);
    for (int64_t i = 0; i < width; ++i) own[i] = static_cast<scalar>(own[i] * mask[i]);
    for (int64_t i = 0; i < width; ++i) sums[i % lanes] += mask[i];
  }
  double sum = 0;
  for (double part : sums) sum += part;
  return sum;
}

CT_CLONES double soften_span(float *g, const float *s, const float *v, int64_t n, const Slope &slope) {
  return soften<float>(g, s, v, n, slope);
}
CT_CLONES double soften_span(double *g, const double *s, const double *v, int64_t n, const Slope &slope) {
  return soften<double>(g, s, v, n, slope);
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
      const double least = least_votes(options.threshold, options.count);
      const at::Tensor mean = g.to(at::kDouble), share = (v.to(at::kDouble).abs() - least) / options.count;
      const at::Tensor variance = (s.to(at::kDouble) / options.count - mean.square()).clamp_min(0) *
                                  (options.count / (options.count - 1));
      const at::Tensor mask = (share / (variance + 1e-300) * options.sharpness).clamp(0, 1e6).tanh();
      g.copy_(mean * mask);
      *total = mask.sum().item<double>();
      return;
    }
    const Slope slope{1 / options.count, least_votes(options.threshold, options.count), options.sharpness,
                      options.count / (options.count - 1)};
    // Added up in the order of the spans, whoever took them.
    std::vector<double> sums((g.numel() + span_length - 1) / span_length);
    for_each_span(g.numel(), [&](int64_t start, int64_t count) {
      sums[start / span_length] = with_scalar(g, [&](auto number) {
        using scalar = decltype(number);
        return soften_span(g.data_ptr<scalar>() + start, read<scalar>(s) + start, read<scalar>(v) + start, count, slope);
      });
    });
    g.unsafeGetTensorImpl()->bump_version();
    *total = 0;
    for (double sum : sums) *total += sum;
  });
}
