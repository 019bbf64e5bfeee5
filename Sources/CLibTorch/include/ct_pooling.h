// SPDX-License-Identifier: Apache-2.0
//
// Pooling of images, and the parameter-free shortcut of residual networks. Channels-last memory stays channels-last.
#ifndef CT_POOLING_H
#define CT_POOLING_H

#include "ct_base.h"
#include "ct_tensor.h"

CT_BEGIN

// Height first, then width. `geometry` is kernel, stride, padding and dilation (two each); with `ceiling` windows that
// begin inside the input or its left padding count even where they end outside.
CT_CALL ct_max_pool(CT_OUT out, CT_IN input, const int64_t *CT_NONNULL geometry, bool ceiling);
// `geometry` is kernel, stride and padding (two each); `counts_padding` divides by the window's size everywhere.
CT_CALL ct_average_pool(CT_OUT out, CT_IN input, const int64_t *CT_NONNULL geometry, bool ceiling, bool counts_padding);
CT_CALL ct_adaptive_average_pool(CT_OUT out, CT_IN input, int64_t height, int64_t width);
// Every stride-th row and column of [B, C, H, W], followed by channels of zeros up to `channels`.
CT_CALL ct_padded_shortcut(CT_OUT out, CT_IN input, int64_t stride, int64_t channels);

CT_END
#endif
