// SPDX-License-Identifier: Apache-2.0
//
// Signs, in which NaN stays NaN: libtorch's sign of NaN is 0, which would hide a divergence.

#include "signs.h"

namespace coherent {
namespace {

template <typename scalar>
CT_INLINE scalar sign(scalar x) {
  return x > 0 ? scalar(1) : x < 0 ? scalar(-1) : x;
}

template <typename scalar>
CT_INLINE void scaled_signs(scalar *target, const scalar *source, int64_t count, scalar scale) {
  for (int64_t i = 0; i < count; ++i) target[i] = scale * sign(source[i]);
}

template <typename scalar>
CT_INLINE void average_signs(scalar *__restrict gradient, scalar *__restrict average, int64_t count, scalar kept,
                             scalar fresh, scalar scale) {
  for (int64_t i = 0; i < count; ++i) {
    const scalar mean = kept * average[i] + fresh * gradient[i];
    average[i] = mean;
    gradient[i] = scale * sign(mean);
  }
}

CT_CLONES void sign_span(float *t, const float *s, int64_t n, double scale) { scaled_signs<float>(t, s, n, scale); }
CT_CLONES void sign_span(double *t, const double *s, int64_t n, double scale) { scaled_signs<double>(t, s, n, scale); }
CT_CLONES void average_span(float *g, float *m, int64_t n, double beta, double scale) {
  average_signs<float>(g, m, n, beta, 1 - beta, scale);
}
CT_CLONES void average_span(double *g, double *m, int64_t n, double beta, double scale) {
  average_signs<double>(g, m, n, beta, 1 - beta, scale);
}

at::Tensor general_sign(const at::Tensor &t) {
  return t.is_floating_point() ? at::where(t.isnan(), t, t.sign()) : t.sign();
}

void take_signs(const at::Tensor &target, const at::Tensor &source, double scale) {
  for_each_span(target.numel(), [&](int64_t start, int64_t count) {
    with_scalar(target, [&](auto number) {
      using scalar = decltype(number);
      sign_span(target.data_ptr<scalar>() + start, read<scalar>(source) + start, count, scale);
    });
  });
}

}  // namespace

void signs(float *target, const float *source, int64_t count) { sign_span(target, source, count, 1); }

CT_CLONES bool byte_signs(int8_t *target, const float *source, int64_t count) {
  bool ordered = true;
  for (int64_t i = 0; i < count; ++i) {
    ordered &= source[i] == source[i];
    target[i] = static_cast<int8_t>((source[i] > 0) - (source[i] < 0));
  }
  return ordered;
}

}  // namespace coherent

ct_status *ct_sign(ct_tensor **out, const ct_tensor *tensor) {
  using namespace coherent;
  return producing(out, [&] {
    const at::Tensor &t = tensor->value;
    // Signs have the gradient 0; where one is asked for, libtorch knows.
    if (!is_real_on_cpu(t) || (t.requires_grad() && at::GradMode::is_enabled())) return general_sign(t);
    const at::Tensor source = t.contiguous();
    at::Tensor target = at::empty_like(source);
    take_signs(target, source, 1);
    return target;
  });
}

ct_status *ct_take_signs(const ct_tensor *gradient, const ct_tensor *average, double beta, double scale) {
  using namespace coherent;
  return guarded([&] {
    at::Tensor g = gradient->value;
    TORCH_CHECK_VALUE(g.is_contiguous(), "a gradient whose signs are taken must be contiguous");
    at::NoGradGuard no_grad;
    if (average == nullptr) {
      is_real_on_cpu(g) ? take_signs(g, g, scale) : void(g.copy_(general_sign(g).mul_(scale)));
    } else {
      at::Tensor m = average->value;
      TORCH_CHECK_VALUE(g.numel() == m.numel() && g.scalar_type() == m.scalar_type() && m.is_contiguous() &&
                            g.device() == m.device(),
                        "a gradient ", g.sizes(), " and its running mean, ", m.sizes(), ", must be alike and contiguous");
      if (is_real_on_cpu(g)) {
        for_each_span(g.numel(), [&](int64_t start, int64_t count) {
          with_scalar(g, [&](auto number) {
            using scalar = decltype(number);
            average_span(g.data_ptr<scalar>() + start, m.data_ptr<scalar>() + start, count, beta, scale);
          });
        });
      } else {
        m.mul_(beta).add_(g, 1 - beta);
        g.copy_(general_sign(m).mul_(scale));
      }
      m.unsafeGetTensorImpl()->bump_version();
    }
    g.unsafeGetTensorImpl()->bump_version();
  });
}
