// SPDX-License-Identifier: Apache-2.0

#include <bit>
#include <cmath>
#include <cstdint>

#include "CKernelsOnHost.h"

namespace {

// CUDA's words.
struct Place {
  unsigned x = 0, y = 0;
};
thread_local Place threadIdx, blockIdx, blockDim, gridDim;
float __uint_as_float(unsigned bits) { return std::bit_cast<float>(bits); }
unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }

#define __device__
#define KERNEL [[maybe_unused]] static

#define GROUPS 3
#define LOW 0
#define HIGH 0
#define TRIMS 0
namespace v0 {
#include "../../Sources/CLibTorch/cuda/kernels.cu"
}
#undef GROUPS
#undef LOW
#undef HIGH
#define GROUPS 5
#define LOW 1
#define HIGH 1
namespace v1 {
#include "../../Sources/CLibTorch/cuda/kernels.cu"
}
#undef GROUPS
#undef LOW
#undef HIGH
#undef TRIMS
#define GROUPS 9
#define LOW 3
#define HIGH 2
#define TRIMS 1
namespace v2 {
#include "../../Sources/CLibTorch/cuda/kernels.cu"
}
#undef GROUPS
#undef LOW
#undef HIGH
#undef TRIMS
#define GROUPS 1
#define LOW 0
#define HIGH 8
#define TRIMS 0
namespace v3 {
#include "../../Sources/CLibTorch/cuda/kernels.cu"
}
#undef GROUPS
#undef LOW
#define GROUPS 11
#define LOW 8
namespace v4 {
#include "../../Sources/CLibTorch/cuda/kernels.cu"
}

constexpr host_variant variants[] = {{3, 0, 0, 0}, {5, 1, 1, 0}, {9, 3, 2, 1}, {1, 0, 8, 0}, {11, 8, 8, 0}};

template <typename Kernel>
void launch(Place grid, Place block, const Kernel &kernel) {
  gridDim = grid, blockDim = block;
  for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y) {
    for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x) {
      for (threadIdx.y = 0; threadIdx.y < block.y; ++threadIdx.y) {
        for (threadIdx.x = 0; threadIdx.x < block.x; ++threadIdx.x) kernel();
      }
    }
  }
}

constexpr Place line{3, 1}, threads{8, 1}, plane{2, 2}, tile{4, 2};

}  // namespace

// The kernels of the chosen variant.
#define CHOSEN(kernel)                   \
  (variant == 0   ? v0::kernel           \
   : variant == 1 ? v1::kernel           \
   : variant == 2 ? v2::kernel           \
   : variant == 3 ? v3::kernel : v4::kernel)

host_variant host_kernels(int variant) { return variant < 5 ? variants[variant] : host_variant{}; }

unsigned host_sgd_step(float *parameters, const float *gradient, float *velocity, float scale, host_step step,
                       long long count) {
  unsigned wrong = 0;
  launch(line, threads, [&] {
    v0::sgd_step(parameters, gradient, velocity, scale, std::bit_cast<v0::Step>(step), &wrong, count);
  });
  return wrong;
}

unsigned host_adam_step(float *parameters, const float *gradient, float *first, float *second, host_adam adam,
                        long long count) {
  unsigned wrong = 0;
  launch(line, threads, [&] {
    v0::adam_step(parameters, gradient, first, second, std::bit_cast<v0::Adam>(adam), &wrong, count);
  });
  return wrong;
}

unsigned host_three_gradient_step(float *parameters, float *current, const float *previous, const float *before,
                                  float *velocity, int is_median, int decays_before, host_step step, long long count) {
  unsigned wrong = 0;
  launch(line, threads, [&] {
    v0::three_gradient_step(parameters, current, previous, before, velocity, is_median, decays_before,
                            std::bit_cast<v0::Step>(step), &wrong, count);
  });
  return wrong;
}

void host_row_median(int variant, float *target, const float *rows, long long count) {
  launch(line, threads, [&] { CHOSEN(row_median)(target, rows, count); });
}

void host_clipped_rows(int variant, float *target, const float *rows, int batch, float scale, long long width) {
  launch(line, threads, [&] { CHOSEN(clipped_rows)(target, rows, batch, scale, width); });
}

void host_clipped_outer(int variant, float *target, const float *delta, const float *input, int batch, int out, int in,
                        float scale) {
  launch(plane, tile, [&] { CHOSEN(clipped_outer)(target, delta, input, batch, out, in, scale); });
}
