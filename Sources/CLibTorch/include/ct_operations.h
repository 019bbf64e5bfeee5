// SPDX-License-Identifier: Apache-2.0
//
// Arithmetic, comparison, reductions and products: libtorch's operations, one line each.
#ifndef CT_OPERATIONS_H
#define CT_OPERATIONS_H

#include "ct_base.h"
#include "ct_tensor.h"

CT_BEGIN

// Elementwise, one operand
CT_CALL ct_negate(CT_OUT out, CT_IN a);
CT_CALL ct_absolute(CT_OUT out, CT_IN a);
CT_CALL ct_square(CT_OUT out, CT_IN a);
CT_CALL ct_square_root(CT_OUT out, CT_IN a);
CT_CALL ct_exponential(CT_OUT out, CT_IN a);
CT_CALL ct_logarithm(CT_OUT out, CT_IN a);
CT_CALL ct_sign(CT_OUT out, CT_IN a);  // NaN stays NaN
CT_CALL ct_is_finite(CT_OUT out, CT_IN a);
CT_CALL ct_relu(CT_OUT out, CT_IN a);
CT_CALL ct_gelu(CT_OUT out, CT_IN a);
CT_CALL ct_silu(CT_OUT out, CT_IN a);
CT_CALL ct_sigmoid(CT_OUT out, CT_IN a);
CT_CALL ct_tanh(CT_OUT out, CT_IN a);
CT_CALL ct_leaky_relu(CT_OUT out, CT_IN a, double slope);
CT_CALL ct_clamp(CT_OUT out, CT_IN a, double low, double high);
CT_CALL ct_power(CT_OUT out, CT_IN a, double exponent);

// Elementwise, two operands, broadcast
CT_CALL ct_add(CT_OUT out, CT_IN a, CT_IN b);
CT_CALL ct_subtract(CT_OUT out, CT_IN a, CT_IN b);
CT_CALL ct_multiply(CT_OUT out, CT_IN a, CT_IN b);
CT_CALL ct_divide(CT_OUT out, CT_IN a, CT_IN b);
CT_CALL ct_minimum(CT_OUT out, CT_IN a, CT_IN b);
CT_CALL ct_maximum(CT_OUT out, CT_IN a, CT_IN b);
CT_CALL ct_equal(CT_OUT out, CT_IN a, CT_IN b);
CT_CALL ct_less(CT_OUT out, CT_IN a, CT_IN b);
CT_CALL ct_greater(CT_OUT out, CT_IN a, CT_IN b);
CT_CALL ct_logical_and(CT_OUT out, CT_IN a, CT_IN b);
CT_CALL ct_logical_not(CT_OUT out, CT_IN a);
CT_CALL ct_where(CT_OUT out, CT_IN condition, CT_IN a, CT_IN b);
CT_CALL ct_add_scalar(CT_OUT out, CT_IN a, double b);
CT_CALL ct_multiply_scalar(CT_OUT out, CT_IN a, double b);

// In place: a += scale·b and a *= b
CT_CALL ct_add_in_place(CT_IN a, CT_IN b, double scale);
CT_CALL ct_multiply_in_place(CT_IN a, double b);

// Reductions; `dimensions` NULL with count 0 reduces all
CT_CALL ct_sum(CT_OUT out, CT_IN a, const int64_t *CT_NULLABLE dimensions, int64_t count, bool keep);
CT_CALL ct_mean(CT_OUT out, CT_IN a, const int64_t *CT_NULLABLE dimensions, int64_t count, bool keep);
CT_CALL ct_largest(CT_OUT out, CT_IN a, int64_t dimension, bool keep);
CT_CALL ct_argmax(CT_OUT out, CT_IN a, int64_t dimension, bool keep);
CT_CALL ct_all(CT_OUT out, CT_IN a);
// The k largest along a dimension, and where they stand.
CT_CALL ct_top(CT_OUT values, CT_OUT indices, CT_IN a, int64_t k, int64_t dimension);
CT_CALL ct_sort(CT_OUT values, CT_OUT indices, CT_IN a, int64_t dimension, bool descending);
// Sums in double whatever the dtype: Σ a·b and Σ a².
CT_CALL ct_dot_double(double *CT_NONNULL out, CT_IN a, CT_IN b);

// Products and softmax
CT_CALL ct_matmul(CT_OUT out, CT_IN a, CT_IN b);
CT_CALL ct_softmax(CT_OUT out, CT_IN a, int64_t dimension);
CT_CALL ct_log_softmax(CT_OUT out, CT_IN a, int64_t dimension);
CT_CALL ct_embedding(CT_OUT out, CT_IN weight, CT_IN indices);

// Convolution and normalisation. `geometry` is stride, padding, dilation (two each).
CT_CALL ct_convolution(CT_OUT out, CT_IN input, CT_IN weight, CT_OPTIONAL bias, const int64_t *CT_NONNULL geometry,
                       int64_t groups);
// The columns of a convolution: [B, C·kh·kw, positions].
CT_CALL ct_unfold(CT_OUT out, CT_IN input, const int64_t *CT_NONNULL kernel, const int64_t *CT_NONNULL geometry);
// Running statistics are updated in place when `training`.
CT_CALL ct_batch_norm(CT_OUT out, CT_IN input, CT_OPTIONAL weight, CT_OPTIONAL bias, CT_OPTIONAL mean,
                      CT_OPTIONAL variance, bool training, double momentum, double epsilon);
CT_CALL ct_group_norm(CT_OUT out, CT_IN input, int64_t groups, CT_OPTIONAL weight, CT_OPTIONAL bias, double epsilon);
CT_CALL ct_layer_norm(CT_OUT out, CT_IN input, CT_SHAPE, CT_OPTIONAL weight, CT_OPTIONAL bias, double epsilon);

CT_END
#endif
