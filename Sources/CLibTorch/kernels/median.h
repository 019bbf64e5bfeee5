// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace coherent {

// target[i] = the median of sums[g·stride + i] over k groups, k odd and at most largest_median; NaN where one is NaN.
void median_of(float *target, const float *sums, int64_t stride, int64_t k, int64_t count);

constexpr int64_t largest_median = 9;

// The median of the rows [k, count], k odd: on the thread pool, k from 3 to largest_median.
void row_median(float *target, const float *rows, int64_t k, int64_t count);

}  // namespace coherent
