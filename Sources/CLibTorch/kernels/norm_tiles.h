// SPDX-License-Identifier: Apache-2.0
//
// Normalisation of a few rows of pixels at a time, in vectors of channels: whatever the statistics are taken over.
#pragma once

#include <cstdint>

namespace coherent {

// Rows (pixels) of some channels side by side, and what each channel needs.
struct NormTile {
  int64_t rows, channels;
  const float *x, *gradient, *y, *residual;
  float *out, *passed;                // result, and the gradient behind the ReLU
  const float *scale, *shift, *mean;  // [channels]
  const float *slope, *offset;        // backward: the parts of the gradient that come by way of the statistics
  float *first, *second;              // sums, [channels]
};

struct NormKernels {
  // first = the mean of x, second = Σ (x − mean)².
  void (*moments)(const NormTile &);
  // out = scale·x + shift (+ residual), cut at 0 when y is set.
  void (*apply)(const NormTile &);
  // With g the gradient, or 0 where y ≤ 0, or without y but with shift where scale·x + shift ≤ 0: first = Σ g,
  // second = Σ g·(x − mean); passed = g and out = scale·g when set.
  void (*sums)(const NormTile &);
  // out = scale·g − offset − slope·(x − mean), with g as above.
  void (*differentiate)(const NormTile &);
};

// Those that suit the processor.
const NormKernels &norm_kernels();

}  // namespace coherent
