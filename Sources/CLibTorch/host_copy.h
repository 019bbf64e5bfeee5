// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "support.h"

namespace coherent {

// libtorch keeps the memory of such copies for the next ones. 512 pictures of 224x224 are 294 MiB.
constexpr size_t most_pinned = size_t{512} << 20;

// Memory of the host for what will be copied to a device: such that the device can read it by itself, within limits.
at::Tensor host_memory_for(const at::Device &device, at::IntArrayRef sizes, at::ScalarType type);

// A tensor of the host on another device: without waiting for what that device does, unless the tensor is large. The
// tensor itself when it is there already.
at::Tensor copied_to(const at::Tensor &host, const at::Device &device);

}  // namespace coherent
