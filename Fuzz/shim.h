// SPDX-License-Identifier: Apache-2.0
//
// The headers of libtorch that most files of the shim include, compiled once for all of them.
#include "../Sources/CLibTorch/libtorch_check.h"

#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>
