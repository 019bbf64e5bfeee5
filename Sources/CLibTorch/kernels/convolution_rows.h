// SPDX-License-Identifier: Apache-2.0
//
// Per-example weight gradients of a convolution of channels-last images.
#pragma once

#include "../support.h"

namespace coherent {

// One convolution, applied to a batch: where the examples' own weight gradients ("rows") come from.
//
// Entries of a row lie in an order of their own, the one that the kernels write in vectors: [groups, kh, kw, C/groups,
// O/groups (padded to whole vectors)], or [kh, kw, C] when every channel is a group. `arrange` puts them in the
// weight's order. Padding is 0 in every row.
class ConvolutionRows {
 public:
  // `geometry` is stride, padding and dilation, two numbers each.
  ConvolutionRows(const at::Tensor &input, const at::Tensor &delta, const int64_t *kernel, const int64_t *geometry,
                  int64_t groups);

  // Whether the kernels serve these tensors: float32, four dimensions, on the CPU.
  static bool suits(const at::Tensor &input, const at::Tensor &delta);

  int64_t examples() const { return batch; }
  // Places in the window.
  int64_t taps() const { return kh * kw; }
  // Numbers in a row.
  int64_t size() const;
  // Output channels can be taken a few at a time: `blocks` parts of a row, each `size() / blocks` numbers.
  int64_t blocks() const;
  // The row of an example, blocks first..<last of it: (last − first) × size() / blocks() numbers; added or written.
  void row(float *out, int64_t example, int64_t first, int64_t last, bool adds = false) const;
  // A row into the weight's order, [O, C/groups, kh, kw], blocks first..<last of it; added or written.
  void arrange(float *weight, const float *row, int64_t first, int64_t last, bool accumulate) const;
  // The whole weight into the order of a row: the reverse of `arrange`.
  void pack(float *row, const float *weight) const;

 private:
  int64_t batch, height, width, channels, out_height, out_width, outputs;
  int64_t kh, kw, sh, sw, ph, pw, dh, dw, groups;
  int64_t lanes, padded;  // output channels of a group, in whole vectors
  bool depthwise;
  at::Tensor x, d;
  const float *input, *delta;

  struct Segment;
  // Of the tap (p, q), of output rows top..<bottom.
  Segment segment(int64_t p, int64_t q, int64_t top, int64_t bottom) const;
  struct Part {
    int64_t example, group, first, last;  // blocks
    int64_t top, bottom;                  // rows of outputs
    int64_t start, end;                   // inputs, of the group's
    bool adds;
    bool has_all(int64_t channels) const { return end - start == channels; }
  };
  struct Following;
  Following following_deltas(const Part &part, int64_t vector, int64_t calls) const;
  // From the image's row `lower` on.
  Following following_inputs(const Part &part, int64_t lower, int64_t calls) const;
  void part(float *out, const Part &part) const;
  bool is_small() const;
  void depthwise_row(float *out, int64_t example, bool adds) const;
  // Calls use(places of the weight, places of the row) for blocks first..<last of it.
  template <typename Use>
  void each_place(int64_t first, int64_t last, const Use &use) const;
  int64_t outputs_per_group() const { return outputs / groups; }
  int64_t channels_per_group() const { return channels / groups; }
};

// The sum of all rows in the weight's order, written or added.
void convolution_weight_gradient(float *target, const ConvolutionRows &rows, bool accumulate);

}  // namespace coherent
