// SPDX-License-Identifier: Apache-2.0

#include <ATen/ATen.h>

#include <cmath>

#include "support.h"

using coherent::dimensions;
using coherent::guarded;
using coherent::producing;

#define CT_UNARY(name, expression) \
  ct_status *name(ct_tensor **out, const ct_tensor *operand) { \
    return producing(out, [&] { const at::Tensor &a = operand->value; return expression; }); \
  }
#define CT_BINARY(name, expression) \
  ct_status *name(ct_tensor **out, const ct_tensor *left, const ct_tensor *right) { \
    return producing(out, [&] { const at::Tensor &a = left->value, &b = right->value; return expression; }); \
  }

CT_UNARY(ct_negate, a.neg())
CT_UNARY(ct_absolute, a.abs())
CT_UNARY(ct_square, a.square())
CT_UNARY(ct_square_root, a.sqrt())
CT_UNARY(ct_exponential, a.exp())
CT_UNARY(ct_logarithm, a.log())
CT_UNARY(ct_is_finite, a.isfinite())
CT_UNARY(ct_relu, a.relu())
CT_UNARY(ct_gelu, at::gelu(a))
CT_UNARY(ct_silu, at::silu(a))
CT_UNARY(ct_sigmoid, a.sigmoid())
CT_UNARY(ct_tanh, a.tanh())
CT_UNARY(ct_logical_not, a.logical_not())
CT_UNARY(ct_all, a.all())

CT_BINARY(ct_add, a + b)
CT_BINARY(ct_subtract, a - b)
CT_BINARY(ct_multiply, a * b)
CT_BINARY(ct_divide, a / b)
CT_BINARY(ct_minimum, at::minimum(a, b))
CT_BINARY(ct_maximum, at::maximum(a, b))
CT_BINARY(ct_equal, a.eq(b))
CT_BINARY(ct_less, a.lt(b))
CT_BINARY(ct_greater, a.gt(b))
CT_BINARY(ct_logical_and, a.logical_and(b))
CT_BINARY(ct_matmul, a.matmul(b))
CT_BINARY(ct_embedding, at::embedding(a, b))

CT_OPERATION(ct_leaky_relu, at::leaky_relu(a->value, slope), const ct_tensor *a, double slope)
CT_OPERATION(ct_clamp, a->value.clamp(low, high), const ct_tensor *a, double low, double high)
CT_OPERATION(ct_power, a->value.pow(exponent), const ct_tensor *a, double exponent)
CT_OPERATION(ct_where, at::where(condition->value, a->value, b->value),
             const ct_tensor *condition, const ct_tensor *a, const ct_tensor *b)
CT_OPERATION(ct_add_scalar, a->value + b, const ct_tensor *a, double b)
CT_OPERATION(ct_multiply_scalar, a->value * b, const ct_tensor *a, double b)

namespace {

// A constant for an in-place operation: whole for integer tensors, which take no other.
at::Scalar constant(double value, const at::Tensor &t) {
  const bool whole = at::isIntegralType(t.scalar_type(), /*includeBool=*/false) && value == std::trunc(value) &&
                     std::abs(value) < 0x1p53;
  return whole ? at::Scalar(static_cast<int64_t>(value)) : at::Scalar(value);
}

// No dimensions means all.
at::OptionalIntArrayRef all_or(const int64_t *dims, int64_t count) {
  return count == 0 ? at::OptionalIntArrayRef() : at::OptionalIntArrayRef(dimensions(dims, count));
}

}  // namespace

ct_status *ct_add_in_place(const ct_tensor *a, const ct_tensor *b, double scale) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    at::Tensor(a->value).add_(b->value, constant(scale, a->value));
  });
}
ct_status *ct_multiply_in_place(const ct_tensor *a, double b) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    at::Tensor(a->value).mul_(constant(b, a->value));
  });
}

CT_OPERATION(ct_sum, a->value.sum(all_or(dims, count), keep),
             const ct_tensor *a, const int64_t *dims, int64_t count, bool keep)
CT_OPERATION(ct_mean, a->value.mean(all_or(dims, count), keep),
             const ct_tensor *a, const int64_t *dims, int64_t count, bool keep)
CT_OPERATION(ct_largest, a->value.amax(dimension, keep), const ct_tensor *a, int64_t dimension, bool keep)
CT_OPERATION(ct_argmax, a->value.argmax(dimension, keep), const ct_tensor *a, int64_t dimension, bool keep)

namespace {

ct_status *give_pair(ct_tensor **first, ct_tensor **second,
                     const std::function<std::tuple<at::Tensor, at::Tensor>()> &body) {
  return guarded([&] {
    auto [a, b] = body();
    auto one = std::make_unique<ct_tensor>(std::move(a));
    coherent::give(second, std::move(b));
    *first = one.release();
  });
}

}  // namespace

ct_status *ct_top(ct_tensor **values, ct_tensor **indices, const ct_tensor *a, int64_t k, int64_t dimension) {
  return give_pair(values, indices, [&] { return a->value.topk(k, dimension); });
}
ct_status *ct_sort(ct_tensor **values, ct_tensor **indices, const ct_tensor *a, int64_t dimension, bool descending) {
  return give_pair(values, indices, [&] { return a->value.sort(/*stable=*/true, dimension, descending); });
}

ct_status *ct_dot_double(double *out, const ct_tensor *a, const ct_tensor *b) {
  return guarded([&] {
    TORCH_CHECK_VALUE(a->value.sizes() == b->value.sizes(), "a dot product of shapes ", a->value.sizes(), " and ",
                      b->value.sizes());
    // Chunks keep the double copies small: in the cache of a processor, and a part of a GPU's memory. The host waits once.
    const auto left = a->value.detach().reshape({-1}), right = b->value.detach().reshape({-1});
    const int64_t chunk = left.is_cpu() ? int64_t{1} << 16 : int64_t{1} << 24;
    auto total = at::zeros({}, left.options().dtype(at::kDouble));
    for (int64_t start = 0; start < left.numel(); start += chunk) {
      const int64_t n = std::min(chunk, left.numel() - start);
      total += left.narrow(0, start, n).to(at::kDouble).dot(right.narrow(0, start, n).to(at::kDouble));
    }
    *out = total.item<double>();
  });
}

CT_OPERATION(ct_softmax, a->value.softmax(dimension), const ct_tensor *a, int64_t dimension)
CT_OPERATION(ct_log_softmax, a->value.log_softmax(dimension), const ct_tensor *a, int64_t dimension)
