// SPDX-License-Identifier: Apache-2.0
//
// The kernels for GPUs (Sources/CLibTorch/cuda/kernels.cu), compiled for the processor: every thread of every block, one
// after the other. So what they compute is tested where there is no GPU.
#ifndef C_KERNELS_ON_HOST_H
#define C_KERNELS_ON_HOST_H

#ifdef __cplusplus
extern "C" {
#endif

// The definitions that the text is compiled with; a variant beyond the last has `groups` 0.
typedef struct host_variant {
  int groups, low, high, trims;
} host_variant;
host_variant host_kernels(int variant);

typedef struct host_step {
  float rate, momentum, fresh, decay;
  int nesterov, is_first;
} host_step;

typedef struct host_adam {
  float beta1, beta2, fresh1, fresh2, epsilon, rate, root_correction, coupled, kept;
} host_adam;

// Each with a grid that is too small for one coordinate a thread. Updates return whether something became infinite or NaN.
unsigned host_sgd_step(float *parameters, const float *gradient, float *velocity, float scale, host_step step,
                       long long count);
unsigned host_adam_step(float *parameters, const float *gradient, float *first, float *second, host_adam adam,
                        long long count);
unsigned host_three_gradient_step(float *parameters, float *current, const float *previous, const float *before,
                                  float *velocity, int is_median, int decays_before, host_step step, long long count);
void host_row_median(int variant, float *target, const float *rows, long long count);
void host_clipped_rows(int variant, float *target, const float *rows, int batch, float scale, long long width);
void host_clipped_outer(int variant, float *target, const float *delta, const float *input, int batch, int out, int in,
                        float scale);

#ifdef __cplusplus
}
#endif
#endif
