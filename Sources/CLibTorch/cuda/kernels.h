// SPDX-License-Identifier: Apache-2.0
//
// The fused updates and robust sums on NVIDIA's GPUs. Each function says whether it did its work; if not, the caller's way
// through libtorch's own operations remains, which any device has.
#pragma once

#include "../kernels/order_statistics.h"
#include "../support.h"

namespace coherent::cuda {

// kernels/sgd.cpp, kernels/adam.cpp, kernels/median.cpp and kernels/clipped_sum.cpp have the formulas.
bool sgd_step(const at::Tensor &parameters, const at::Tensor &gradient, const std::optional<at::Tensor> &velocity,
              const ct_sgd_options &options, bool &finite);
bool adam_step(const at::Tensor &parameters, const at::Tensor &gradient, const at::Tensor &first,
               const at::Tensor &second, const ct_adam_options &options, bool &finite);
bool three_gradient_step(const at::Tensor &parameters, const at::Tensor &current, const at::Tensor &previous,
                         const at::Tensor &before, const std::optional<at::Tensor> &velocity,
                         const ct_sgd_options &options, bool is_median, bool decays_before, bool &finite);
bool row_median(const at::Tensor &target, const at::Tensor &rows);
bool clipped_rows(const at::Tensor &target, const at::Tensor &rows, const Clip &clip);
bool clipped_outer(const at::Tensor &target, const at::Tensor &delta, const at::Tensor &input, const Clip &clip);

// Compiles a kernel of each kind for a device, as the first steps would; throws with the reason where that cannot be.
void prepare(int device);
// How many of our own kernels were launched so far.
int64_t launch_count();
// Compiles a kernel of each kind for an architecture such as "sm_90", without any device; throws with the compiler's words.
void compile_all(const std::string &architecture);

}  // namespace coherent::cuda
