// SPDX-License-Identifier: Apache-2.0
//
// Batch normalisation of a few rows of pixels at a time, in vectors of channels.
#pragma once

#include <cstdint>

namespace coherent {

// Rows (pixels) of some channels side by side, and what each channel needs.
struct BatchNormTile {
  int64_t rows, channels;
  const float *x, *gradient, *y, *residual;
  float *out, *passed;                // result, and the gradient behind the ReLU
  const float *scale, *shift, *mean;  // [channels]
  const float *slope, *offset;        // backward: the parts of the gradient that come by way of the statistics
  float *first, *second;              // sums, [channels]
};

struct BatchNormKernels {
  // first = the mean of x, second = Σ (x − mean)².
  void (*moments)(const BatchNormTile &);
  // out = scale·x + shift (+ residual), cut at 0 when y is set.
  void (*apply)(const BatchNormTile &);
  // With g the gradient, or 0 where y ≤ 0, or without y but with shift where scale·x + shift ≤ 0: first = Σ g,
  // second = Σ g·(x − mean); passed = g and out = scale·g when set.
  void (*sums)(const BatchNormTile &);
  // out = scale·(g − offset − slope·(x − mean)).
  void (*differentiate)(const BatchNormTile &);
};

// Those that suit the processor.
const BatchNormKernels &batch_norm_kernels();

}  // namespace coherent
