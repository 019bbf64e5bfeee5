// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace coherent {

// gradient [out, in] (+)= deltaᵀ [out, B] · input [B, in] and bias [out] (+)= Σ_b delta[b], all float32, row-major
// and contiguous; `bias` may be null. The sums over the batch run in batch order for every element, so the result
// does not depend on the thread count.
void weight_gradient(float *gradient, float *bias, const float *delta, const float *input, int64_t batch, int64_t out,
                     int64_t in, bool accumulate);

// The median over groups of consecutive examples, each ending before the next of `ends`, of Σ_b factor_b·delta_bᵀ·input_b,
// element by element. `factors` has a number for every example, such as one over the size of its group.
void weight_gradient_median(float *gradient, float *bias, const float *delta, const float *input, const float *factors,
                            int64_t batch, int64_t out, int64_t in, const int64_t *ends, int64_t groups);

}  // namespace coherent
