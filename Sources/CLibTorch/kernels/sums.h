// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace coherent {

// Σ values², accumulated in double.
double squared_norm(const float *values, int64_t count);
double squared_norm(const double *values, int64_t count);
// Σ left·right, accumulated in double.
double inner_product(const float *left, const float *right, int64_t count);

}  // namespace coherent
