// SPDX-License-Identifier: Apache-2.0
//
// Sums that end in a ratio: accumulated in double whatever the element type.

#include <ATen/Dispatch.h>

#include "sums.h"

#include "../support.h"

namespace coherent {
namespace {

// Sixteen running sums, so that the loop is a vector operation in a fixed order.
template <typename scalar>
inline double sum_of_products(const scalar *left, const scalar *right, int64_t count) {
  constexpr int lanes = 16;
  double sums[lanes] = {};
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (int lane = 0; lane < lanes; ++lane) {
      sums[lane] += static_cast<double>(left[i + lane]) * static_cast<double>(right[i + lane]);
    }
  }
  double total = 0;
  for (; i < count; ++i) total += static_cast<double>(left[i]) * static_cast<double>(right[i]);
  for (double sum : sums) total += sum;
  return total;
}

CT_CLONES double of_float(const float *values, int64_t count) { return sum_of_products(values, values, count); }
CT_CLONES double of_double(const double *values, int64_t count) { return sum_of_products(values, values, count); }
CT_CLONES double of_floats(const float *left, const float *right, int64_t count) {
  return sum_of_products(left, right, count);
}

CT_CLONES void add(double *__restrict total, const float *__restrict part, int64_t count) {
  for (int64_t i = 0; i < count; ++i) total[i] += part[i];
}
CT_CLONES void add(double *__restrict total, const double *__restrict part, int64_t count) {
  for (int64_t i = 0; i < count; ++i) total[i] += part[i];
}

}  // namespace

double squared_norm(const float *values, int64_t count) { return of_float(values, count); }
double squared_norm(const double *values, int64_t count) { return of_double(values, count); }
double inner_product(const float *left, const float *right, int64_t count) { return of_floats(left, right, count); }

}  // namespace coherent

ct_status *ct_row_squared_norms(ct_tensor **out, const ct_tensor *matrix) {
  using namespace coherent;
  return producing(out, [&]() -> at::Tensor {
    const at::Tensor &m = matrix->value;
    TORCH_CHECK_VALUE(m.dim() >= 1, "a scalar has no rows");
    const int64_t rows = m.size(0);
    if (!is_real_on_cpu(m)) {
      return m.detach().reshape({rows, -1}).to(at::kDouble).square().sum(1).to(at::kCPU);
    }
    const auto values = m.detach().contiguous();
    const int64_t width = rows == 0 ? 0 : values.numel() / rows;
    auto result = at::empty({rows}, at::kDouble);
    double *target = result.data_ptr<double>();
    // A share of rows worth some microseconds at a time.
    const int64_t share = std::max<int64_t>(1, 65536 / std::max<int64_t>(width, 1));
    parallel_for_each((rows + share - 1) / share, [&](int64_t chunk) {
      for (int64_t i = chunk * share; i < std::min(rows, (chunk + 1) * share); ++i) {
        target[i] = with_scalar(m, [&](auto number) {
          return squared_norm(read<decltype(number)>(values) + i * width, width);
        });
      }
    });
    return result;
  });
}

ct_status *ct_accumulate(const ct_tensor *total, const ct_tensor *part) {
  using namespace coherent;
  return guarded([&] {
    const at::Tensor &t = total->value, &p = part->value;
    TORCH_CHECK_VALUE(t.scalar_type() == at::kDouble && t.is_contiguous() && p.is_contiguous() &&
                          t.numel() == p.numel() && t.device() == p.device(),
                      "a float64 total and a part of the same size, both contiguous");
    if (!is_real_on_cpu(p)) {
      at::NoGradGuard no_grad;
      at::Tensor(t).add_(p.view_as(t));
      return;
    }
    for_each_span(t.numel(), [&](int64_t start, int64_t count) {
      with_scalar(p, [&](auto number) {
        add(t.data_ptr<double>() + start, read<decltype(number)>(p) + start, count);
      });
    });
  });
}
