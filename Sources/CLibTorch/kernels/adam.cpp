// SPDX-License-Identifier: Apache-2.0
//
// The Adam and AdamW update as one pass over the flat buffers.

#include <tuple>

#include "../cuda/kernels.h"
#include "adam.h"
#include "sgd.h"

namespace coherent {
namespace {

template <typename scalar>
CT_INLINE bool update(scalar *__restrict parameter, const scalar *__restrict gradient, scalar *__restrict first,
                      scalar *__restrict second, int64_t count, const AdamStep<scalar> s) {
  decltype(magnitude(scalar(0))) largest = 0;
  for (int64_t i = 0; i < count; ++i) {
    const scalar g = gradient[i] + s.coupled * parameter[i];
    const scalar m = s.beta1 * first[i] + s.fresh1 * g;
    const scalar v = s.beta2 * second[i] + s.fresh2 * g * g;
    first[i] = m;
    second[i] = v;
    // std::sqrt would have to set errno, and keep the loop from being a vector operation: seven times as long.
    const scalar root = __builtin_elementwise_sqrt(v) * s.root_correction;
    const scalar next = s.kept * parameter[i] - s.rate * m / (root + s.epsilon);
    parameter[i] = next;
    largest = std::max(largest, magnitude(next));
  }
  return is_finite<scalar>(largest);
}

CT_CLONES bool update_span(float *p, const float *g, float *m, float *v, int64_t n, const AdamStep<float> &s) {
  return update<float>(p, g, m, v, n, s);
}
bool update_span(double *p, const double *g, double *m, double *v, int64_t n, const AdamStep<double> &s) {
  return update<double>(p, g, m, v, n, s);
}

bool step_generally(at::Tensor p, const at::Tensor &g, at::Tensor m, at::Tensor v, const ct_adam_options &o) {
  const AdamStep<double> s(o);
  const at::Tensor direction = s.coupled != 0 ? g.add(p, s.coupled) : g;
  m.mul_(s.beta1).add_(direction, s.fresh1);
  v.mul_(s.beta2).addcmul_(direction, direction, s.fresh2);
  p.mul_(s.kept).addcdiv_(m, v.sqrt().mul_(s.root_correction).add_(s.epsilon), -s.rate);
  return o.unchecked || p.isfinite().all().item<bool>();
}

}  // namespace
}  // namespace coherent

ct_status *ct_adam_step(const ct_tensor *parameters, const ct_tensor *gradient, const ct_tensor *first,
                        const ct_tensor *second, ct_adam_options options, bool *finite) {
  using namespace coherent;
  return guarded([&] {
    const at::Tensor &p = parameters->value, &g = gradient->value, &m = first->value, &v = second->value;
    for (const at::Tensor *other : {&g, &m, &v}) {
      TORCH_CHECK_VALUE(p.numel() == other->numel() && p.scalar_type() == other->scalar_type() && p.is_contiguous() &&
                            other->is_contiguous() && p.device() == other->device(),
                        "parameters ", p.sizes(), " and ", other->sizes(), " must be alike and contiguous");
    }
    TORCH_CHECK_VALUE(options.update >= 1, "updates are counted from 1, not ", options.update);
    at::NoGradGuard no_grad;
    if (cuda::adam_step(p, g, m, v, options, *finite)) return;
    if (!is_real_on_cpu(p)) {
      *finite = step_generally(p, g, m, v, options);
      return;
    }
    const std::tuple steps{AdamStep<float>(options), AdamStep<double>(options)};
    const bool are_finite = update_spans(p, [&](auto number, int64_t start, int64_t count) {
      using scalar = decltype(number);
      return update_span(p.data_ptr<scalar>() + start, read<scalar>(g) + start, m.data_ptr<scalar>() + start,
                         v.data_ptr<scalar>() + start, count, std::get<AdamStep<scalar>>(steps));
    });
    *finite = options.unchecked || are_finite;
  });
}
