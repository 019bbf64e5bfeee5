// SPDX-License-Identifier: Apache-2.0
//
// The C face of libtorch: plain C99, no libtorch header behind it. Rules that hold for every function here:
//
// - It returns NULL on success, else an error that the caller owns and frees with ct_status_free. There is no
//   last-error state.
// - `out` arguments are written on success only. What they receive belongs to the caller (ct_tensor_free).
// - Tensors passed in are borrowed. A NULL tensor is allowed where an argument is marked nullable.
// - No C++ exception leaves a function.
#ifndef CLIBTORCH_H
#define CLIBTORCH_H

#include "ct_autograd.h"
#include "ct_base.h"
#include "ct_collectives.h"
#include "ct_kernels.h"
#include "ct_memory.h"
#include "ct_operations.h"
#include "ct_pooling.h"
#include "ct_runtime.h"
#include "ct_tensor.h"

#endif
