// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support.h"

namespace coherent {

// libtorch keeps the memory of such copies for the next ones; a data set that moves to a GPU once should not stay in it.
constexpr size_t most_pinned = size_t{64} << 20;

// A tensor of the host on another device: without waiting for what that device does, unless the tensor is large. The
// tensor itself when it is there already.
at::Tensor copied_to(const at::Tensor &host, const at::Device &device);

}  // namespace coherent
