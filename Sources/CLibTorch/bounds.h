// SPDX-License-Identifier: Apache-2.0
//
// Sizes that callers give as numbers, checked once, here, in 64 bits, so that nothing behind can overflow or read beyond a
// tensor. What libtorch checks itself is left to it.
#pragma once

#include <ATen/ATen.h>

#include <array>
#include <vector>

#include "CLibTorch.h"

namespace coherent {

// The ends of groups of consecutive rows, counted in `step` rows each; throws unless the groups follow each other without
// a gap, none is empty, and they cover all `rows`.
std::vector<int64_t> group_ends(const ct_range *groups, int64_t count, int64_t rows, int64_t step = 1);

// Throws unless a window is at least one number high and wide, and its strides, padding (not negative) and dilation are
// numbers that sums and products of a few of them leave within 64 bits. `geometry` is stride, padding and dilation.
void check_window(const int64_t *kernel, const int64_t *geometry);

// The same geometry, but without a dilation where the window is one number long, which then has nothing to spread: oneDNN's
// kernel for channels-last images reads memory that is not there otherwise (libtorch 2.11, one column, stride 2, padding 1).
std::array<int64_t, 6> plain_geometry(const int64_t *kernel, const int64_t *geometry);

// Throws unless an input [B, C, H, W] and the gradient [B, O, H', W'] at the output belong to a convolution with this
// window, which is nowhere larger than the padded input, and its weight can be counted.
void check_convolution(const at::Tensor &input, const at::Tensor &output_gradient, const int64_t *kernel,
                       const int64_t *geometry, int64_t groups);

}  // namespace coherent
