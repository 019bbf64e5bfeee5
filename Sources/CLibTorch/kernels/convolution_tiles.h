// SPDX-License-Identifier: Apache-2.0
//
// Register tiles of a convolution's weight gradient: what a walk over output positions adds up for some output channels
// (in vectors) and some input channels.
#pragma once

#include <cstdint>

namespace coherent {

// Memory to fetch ahead: `left` times, `step` numbers apart, `each` of them with a row of a walk.
struct Ahead {
  const float *place = nullptr;
  int64_t step = 0, left = 0, each = 0;
};

// Output positions in rows and columns, from the first, and the strides of both images in numbers.
struct Walk {
  const float *delta, *input;
  int64_t rows, columns, delta_row, delta_step, input_row, input_step;
  Ahead deltas_ahead = {}, inputs_ahead = {};
};

// Tiles by the number of vectors and of inputs; none where the sums would not fit the registers.
constexpr int64_t tile_vectors[] = {1, 2, 4}, tile_inputs[] = {1, 2, 3, 4, 8, 16};

struct ConvolutionTiles {
  int64_t lanes;  // of a vector
  // out [vectors][inputs][lanes], `distance` apart between vectors, (+)= Σ over positions of δ (in lanes) times x.
  void (*tile[3][6])(float *out, int64_t distance, const Walk &walk, bool adds);
  // out [C] (+)= Σ over positions of δ·x, channel by channel.
  void (*depthwise)(float *out, const Walk &walk, int64_t channels, bool adds);
};

// Those for this processor.
const ConvolutionTiles &convolution_tiles();

}  // namespace coherent
