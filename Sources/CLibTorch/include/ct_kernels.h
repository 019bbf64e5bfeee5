// SPDX-License-Identifier: Apache-2.0
//
// Fused operations of our own. Each has a plain reference in the tests.
#ifndef CT_KERNELS_H
#define CT_KERNELS_H

#include "ct_base.h"

CT_BEGIN

// Which library computes a product of a linear layer. The choice decides the last bits of a result, so it is an
// argument, recorded with a run, and never taken inside.
typedef enum ct_product { CT_PRODUCT_NATIVE = 0, CT_PRODUCT_ONEDNN, CT_PRODUCT_TILED } ct_product;

typedef struct ct_linear_plan {
  ct_product forward;          // NATIVE or ONEDNN
  ct_product weight_gradient;  // NATIVE, ONEDNN or TILED
  ct_product input_gradient;   // NATIVE or ONEDNN
} ct_linear_plan;

typedef enum ct_activation { CT_IDENTITY = 0, CT_RELU } ct_activation;

// out = activation(input·weightᵀ + bias), input [..., in], weight [out, in], bias [out] or NULL, out [..., out].
// With sinks the backward pass writes ∂weight and ∂bias straight into them; without, it returns them to autograd.
// With a slot it computes neither, and keeps input and the gradient at the pre-activation instead.
// Non-contiguous, non-float32 or non-CPU operands take the native path whatever the plan says.
CT_CALL ct_linear(CT_OUT out, CT_IN input, CT_IN weight, CT_OPTIONAL bias, ct_activation activation,
                  ct_linear_plan plan, ct_gradient_sink *CT_NULLABLE weight_sink,
                  ct_gradient_sink *CT_NULLABLE bias_sink, ct_factor_slot *CT_NULLABLE slot);

// gradient [out, in] (+)= output_gradientᵀ [out, B] · input [B, in], float32, contiguous, and bias_gradient [out]
// (+)= column sums of output_gradient: TILED in one pass over both, else by NATIVE.
CT_CALL ct_weight_gradient(CT_IN gradient, CT_OPTIONAL bias_gradient, CT_IN output_gradient, CT_IN input,
                           ct_product product, bool accumulate);

// gradient [out, in] = Σ_b sign(output_gradient_b)ᵀ·sign(input_b), and bias_gradient [out] = Σ_b sign(output_gradient_b):
// float32, contiguous. Where the processor has products of bytes they are used, which are exact too.
CT_CALL ct_weight_sign_sum(CT_IN gradient, CT_OPTIONAL bias_gradient, CT_IN output_gradient, CT_IN input);

// Examples start..<end of a batch. Groups of consecutive examples begin with example 0, follow each other without a gap,
// and end with the batch; anything else is an error.
typedef struct ct_range {
  int64_t start, end;
} ct_range;

// gradient [out, in] = the median over groups of consecutive examples of the group's mean of output_gradient_bᵀ·input_b,
// summed over the `rows_per_example` rows of an example, and bias_gradient alike; element by element, NaN where a group has
// NaN. Float32, contiguous, 3 to 9 groups, an odd number of them.
CT_CALL ct_weight_gradient_median(CT_IN gradient, CT_OPTIONAL bias_gradient, CT_IN output_gradient, CT_IN input,
                                  int64_t rows_per_example, const ct_range *CT_NULLABLE groups, int64_t count);

// How a sum over examples is clipped, coordinate by coordinate: the `low` smallest and `high` largest entries are left
// out (`trims`), or moved to the nearest entry kept. The sum is multiplied by `scale`. NaN gives NaN.
typedef struct ct_clip {
  int64_t low, high;
  bool trims;
  double scale;
} ct_clip;

// target [P] = the clipped sum of rows [B, P].
CT_CALL ct_clipped_row_sum(CT_IN target, CT_IN rows, ct_clip clip);

// target [out, in] = the clipped sum over examples b of output_gradient_b ⊗ input_b, for output_gradient [B, out] and
// input [B, in], and bias [out] = that of output_gradient. The products are never held.
CT_CALL ct_clipped_outer_sum(CT_IN target, CT_OPTIONAL bias, CT_IN output_gradient, CT_IN input, ct_clip clip);

// target [P] = the median of the rows [k, P], k odd; NaN where a row has NaN.
CT_CALL ct_row_median(CT_IN target, CT_IN rows);

// target [P] = the median of the means of rows [B, P] over groups of consecutive rows.
// Float32, contiguous, on the CPU; 3, 5, 7 or 9 groups.
CT_CALL ct_group_mean_median(CT_IN target, CT_IN rows, const ct_range *CT_NULLABLE groups, int64_t count);

// out [rows] float64: the squared norm of each row (everything but the first dimension), accumulated in double.
CT_CALL ct_row_squared_norms(CT_OUT out, CT_IN matrix);

// total [P] float64 += part [P] float32 or float64.
CT_CALL ct_accumulate(CT_IN total, CT_IN part);

// Whether the kernels for channels-last images take this tensor: float32 [B, C, H, W] in that order, on the CPU.
bool ct_suits_channels_last_kernels(CT_IN tensor);

typedef struct ct_batch_norm_options {
  double momentum, epsilon;
  bool training;  // by the batch's statistics, through which gradients flow, and which the running ones then follow
  bool relu;
} ct_batch_norm_options;

// y = max(γ·(x − μ)/√(σ² + ε) + β + residual, 0), or without the max: a channels-last image, see above. In training, of
// each group of consecutive examples by itself (none: the whole batch). With a slot the
// backward pass leaves each example's gradients of γ and β there, [B, 2·C], as both input and gradient.
CT_CALL ct_batch_norm_relu(CT_OUT out, CT_IN input, CT_IN weight, CT_IN bias, CT_IN mean, CT_IN variance,
                           CT_OPTIONAL residual, ct_batch_norm_options options, const ct_range *CT_NULLABLE groups,
                           int64_t count, ct_factor_slot *CT_NULLABLE slot);

// The same with μ and σ² over each of the groups of an example's channels, through which gradients always flow.
CT_CALL ct_group_norm_relu(CT_OUT out, CT_IN input, int64_t groups, CT_IN weight, CT_IN bias, double epsilon,
                           CT_OPTIONAL residual, bool relu, ct_factor_slot *CT_NULLABLE slot);

// A convolution of a channels-last image (see above) with weight [O, C/groups, kh, kw] and bias [O] or NULL; its backward
// pass writes ∂weight and ∂bias into their sinks.
CT_CALL ct_convolution_layer(CT_OUT out, CT_IN input, CT_IN weight, CT_OPTIONAL bias,
                             const int64_t *CT_NONNULL geometry, int64_t groups,
                             ct_gradient_sink *CT_NONNULL weight_sink, ct_gradient_sink *CT_NULLABLE bias_sink);

// The weight gradients of a convolution example by example ("rows", of O·C/groups·kh·kw numbers), from its input
// [B, C, H, W] and the gradient [B, O, H', W'] at its output. `geometry` is stride, padding, dilation (two each).
#define CT_CONVOLUTION                                                                                     \
  CT_IN input, CT_IN output_gradient, const int64_t *CT_NONNULL kernel, const int64_t *CT_NONNULL geometry, \
      int64_t groups

// Any type and device: the rows, [B, O, C/groups, kh, kw].
CT_CALL ct_convolution_example_gradients(CT_OUT out, CT_CONVOLUTION);
// Any type and device: the sum of all rows, [O, C/groups, kh, kw], by libtorch.
CT_CALL ct_convolution_weight_gradient(CT_OUT out, CT_CONVOLUTION);
// Float32 on the CPU, and fastest when both lie channels last: the rows as above,
CT_CALL ct_convolution_rows(CT_OUT out, CT_CONVOLUTION);
// their squared norms, float64 [B], and the sum of all rows into (or added to) `sum` unless that is NULL,
CT_CALL ct_convolution_row_norms(CT_OUT norms, CT_OPTIONAL sum, CT_CONVOLUTION, bool accumulate);
// their inner products with each of `vectors` [M, O·C/groups·kh·kw], and in the last column their squared norms, float64
// [B, M + 1],
CT_CALL ct_convolution_row_products(CT_OUT products, CT_IN vectors, CT_CONVOLUTION);
// the sum alone,
CT_CALL ct_convolution_row_sum(CT_IN target, CT_CONVOLUTION, bool accumulate);
// the median of the means over groups of consecutive examples,
CT_CALL ct_convolution_row_median(CT_IN target, CT_CONVOLUTION, const ct_range *CT_NULLABLE parts, int64_t count);
// and the clipped sum.
CT_CALL ct_convolution_clipped_sum(CT_IN target, CT_CONVOLUTION, ct_clip clip);

// losses [B] = −log softmax(logits [B, K])[target [B] int64], each example's own loss.
CT_CALL ct_cross_entropy(CT_OUT losses, CT_IN logits, CT_IN targets);

// From logits [B, K] and targets [B]: per example the loss, the margin (target logit minus the largest other), and
// the rank of the target (0 = correct; ties with other classes count against the target, NaN is wrong).
CT_CALL ct_classification_records(CT_OUT losses, CT_OUT margins, CT_OUT ranks, CT_IN logits, CT_IN targets);

typedef struct ct_sgd_options {
  double learning_rate;
  double momentum;
  double dampening;
  double weight_decay;
  double gradient_scale;
  bool nesterov;
  bool first_step;  // momentum buffer starts as the gradient itself
  bool unchecked;   // nobody looks whether the parameters are finite, for which the host would wait for a GPU
} ct_sgd_options;

// One pass over flat float32 or float64 buffers: d = scale·gradient + decay·parameter; velocity = momentum·velocity +
// (1 − dampening)·d; parameter −= rate·(d, velocity, or d + momentum·velocity with Nesterov). `velocity` may be NULL
// when momentum is 0. Writes whether every updated parameter is finite; true when nobody looked.
CT_CALL ct_sgd_step(CT_IN parameters, CT_IN gradient, CT_OPTIONAL velocity, ct_sgd_options options,
                    bool *CT_NONNULL finite);

typedef struct ct_adam_options {
  double learning_rate;
  double beta1;
  double beta2;
  double epsilon;
  double weight_decay;
  bool decoupled;  // AdamW: the decay shrinks the parameters instead of entering the gradient
  int64_t update;  // counted from 1
  bool unchecked;  // as above
} ct_adam_options;

// One pass over flat float32 or float64 buffers (other types and devices in several): g = gradient (+ decay·parameter
// unless decoupled); m = β1·m + (1 − β1)·g; v = β2·v + (1 − β2)·g²; with t the update's number, parameter = (1 −
// rate·decay when decoupled)·parameter − rate/(1 − β1ᵗ)·m/(√(v/(1 − β2ᵗ)) + ε). Writes whether every updated parameter
// is finite.
CT_CALL ct_adam_step(CT_IN parameters, CT_IN gradient, CT_IN first, CT_IN second, ct_adam_options options,
                     bool *CT_NONNULL finite);

// target += deviation·z, contiguous, with independent standard normal numbers z of which the i-th depends on seed, stream
// and i alone, to the last bits on one kind of processor. Drawn on the CPU for any device.
CT_CALL ct_add_gaussian(CT_IN target, double deviation, uint64_t seed, uint64_t stream);
// The four words that Philox4x32-10 gives for a counter: what the normal numbers 4·counter and on are made from.
CT_CALL ct_philox(uint32_t *CT_NONNULL words, uint64_t seed, uint64_t stream, uint64_t counter);

// gradient becomes scale·sign(gradient), NaN where it was; or with an average, which becomes β·average + (1 − β)·gradient
// first, scale·sign(average).
CT_CALL ct_take_signs(CT_IN gradient, CT_OPTIONAL average, double beta, double scale);

// gradient becomes 0 wherever |votes| does not exceed `needed`; writes how many coordinates are left.
CT_CALL ct_mask_by_votes(CT_IN gradient, CT_IN votes, double needed, int64_t *CT_NONNULL kept);

typedef struct ct_soft_mask_options {
  double count;  // B
  double threshold;
  double sharpness;
} ct_soft_mask_options;

// gradient, a mean over B examples, times max(0, tanh(sharpness·(|votes|/B − threshold)/variance)), the variance over the
// examples from the sum of their squares; writes the sum of the masks.
CT_CALL ct_mask_softly(CT_IN gradient, CT_IN squares, CT_IN votes, ct_soft_mask_options options,
                       double *CT_NONNULL total);

// One pass over flat buffers: d = median (or mean) of three gradients [P], then as ct_sgd_step. With decays_before the
// newest becomes gradient + decay·parameter, and is kept so; otherwise decay·parameter is added to d.
CT_CALL ct_three_gradient_step(CT_IN parameters, CT_IN current, CT_IN previous, CT_IN before, CT_OPTIONAL velocity,
                               ct_sgd_options options, bool is_median, bool decays_before, bool *CT_NONNULL finite);

// out [count, features] float32 = scales[c]·source[indices] + offsets[c], rows of `features` bytes from a table of
// `rows` rows; a row is `channels` planes of equal size, and c is the plane that a value is in. On another device it
// arrives while the host goes on.
CT_CALL ct_gather_rows(CT_OUT out, const uint8_t *CT_NULLABLE source, int64_t rows, int64_t features,
                       const int64_t *CT_NULLABLE indices, int64_t count,
                       const float *CT_NONNULL scales, const float *CT_NONNULL offsets, int64_t channels,
                       ct_device device);

CT_END
#endif
