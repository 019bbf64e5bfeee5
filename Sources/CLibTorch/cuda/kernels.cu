// SPDX-License-Identifier: Apache-2.0
//
// The kernels for NVIDIA's GPUs. NVRTC compiles this text for the device at hand when a kernel is first wanted; the tests
// compile the same text for the processor and run it thread by thread. So a thread has coordinates of its own and waits
// for no other: nothing is shared, and the bits are the same each time.
//
// LOW, HIGH and TRIMS say what is clipped, GROUPS of how many rows a median is: the text is compiled once for each.

#ifndef KERNEL
#define KERNEL extern "C" __global__
#endif

#define EACH(i, n)                                                              \
  for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < (n); \
       i += gridDim.x * (long long)blockDim.x)

__device__ inline float not_a_number() { return __uint_as_float(0x7fc00000u); }
__device__ inline float infinity() { return __uint_as_float(0x7f800000u); }

// By the exponent: infinite or NaN; NaN.
__device__ inline bool is_wrong(float x) { return (__float_as_uint(x) & 0x7f800000u) == 0x7f800000u; }
__device__ inline bool is_none(float x) { return (__float_as_uint(x) & 0x7fffffffu) > 0x7f800000u; }

// What every update shares: see stepped() in kernels/sgd.h.
struct Step {
  float rate, momentum, fresh, decay;
  int nesterov, is_first;
};

__device__ inline float stepped(float parameter, float direction, float *velocity, Step step) {
  if (velocity) {
    const float v = step.is_first ? direction : step.momentum * *velocity + step.fresh * direction;
    *velocity = v;
    direction = step.nesterov ? direction + step.momentum * v : v;
  }
  return parameter - step.rate * direction;
}

// One flag for all threads, which only ever becomes 1.
__device__ inline void report(unsigned *wrong, bool is_bad) {
  if (is_bad) *wrong = 1;
}

KERNEL void sgd_step(float *parameters, const float *gradient, float *velocity, float scale, Step step,
                                    unsigned *wrong, long long count) {
  bool is_bad = false;
  EACH(i, count) {
    const float direction = scale * gradient[i] + step.decay * parameters[i];
    const float next = stepped(parameters[i], direction, velocity ? velocity + i : velocity, step);
    parameters[i] = next;
    is_bad |= is_wrong(next);
  }
  report(wrong, is_bad);
}

struct Adam {
  float beta1, beta2, fresh1, fresh2, epsilon, rate, root_correction, coupled, kept;
};

KERNEL void adam_step(float *parameters, const float *gradient, float *first, float *second, Adam adam,
                                     unsigned *wrong, long long count) {
  bool is_bad = false;
  EACH(i, count) {
    const float g = gradient[i] + adam.coupled * parameters[i];
    const float m = adam.beta1 * first[i] + adam.fresh1 * g;
    const float v = adam.beta2 * second[i] + adam.fresh2 * g * g;
    first[i] = m;
    second[i] = v;
    const float next = adam.kept * parameters[i] - adam.rate * m / (sqrtf(v) * adam.root_correction + adam.epsilon);
    parameters[i] = next;
    is_bad |= is_wrong(next);
  }
  report(wrong, is_bad);
}

__device__ inline float median_of_three(float a, float b, float c) {
  const float middle = fmaxf(fminf(a, b), fminf(fmaxf(a, b), c));
  return is_none(a) || is_none(b) || is_none(c) ? not_a_number() : middle;
}

KERNEL void three_gradient_step(float *parameters, float *current, const float *previous,
                                               const float *before, float *velocity, int is_median, int decays_before,
                                               Step step, unsigned *wrong, long long count) {
  const float early = decays_before ? step.decay : 0, late = decays_before ? 0 : step.decay;
  bool is_bad = false;
  EACH(i, count) {
    const float own = current[i] + early * parameters[i];
    if (early != 0) current[i] = own;
    float direction =
        is_median ? median_of_three(own, previous[i], before[i]) : (own + previous[i] + before[i]) / 3;
    direction += late * parameters[i];
    const float next = stepped(parameters[i], direction, velocity ? velocity + i : velocity, step);
    parameters[i] = next;
    is_bad |= is_wrong(next);
  }
  report(wrong, is_bad);
}

#ifdef GROUPS
// Keeps the (GROUPS + 1)/2 smallest by insertion; the largest of them is the median.
KERNEL void row_median(float *target, const float *rows, long long count) {
  EACH(i, count) {
    float smallest[(GROUPS + 1) / 2];
    for (int k = 0; k < (GROUPS + 1) / 2; ++k) smallest[k] = infinity();
    bool has_none = false;
#pragma unroll
    for (int g = 0; g < GROUPS; ++g) {
      float value = rows[g * count + i];
      has_none |= is_none(value);
#pragma unroll
      for (int k = 0; k < (GROUPS + 1) / 2; ++k) {
        const float kept = fminf(value, smallest[k]);
        value = fmaxf(value, smallest[k]);
        smallest[k] = kept;
      }
    }
    target[i] = has_none ? not_a_number() : smallest[(GROUPS - 1) / 2];
  }
}
#endif

#ifdef LOW
// The clipped sum of one coordinate's entries, which come one after the other. The LOW smallest so far and the HIGH
// largest of the others stay in registers; what falls out of both is neither, and is summed. So an infinity that is
// clipped never enters a sum.
struct Clipped {
  float low[LOW + 1], high[HIGH + 1], sum, least, greatest;
  bool has_none;

  __device__ Clipped() : sum(0), least(infinity()), greatest(-infinity()), has_none(false) {
    for (int k = 0; k < LOW; ++k) low[k] = infinity();
    for (int k = 0; k < HIGH; ++k) high[k] = -infinity();
  }

  __device__ void take(int example, float value) {
    has_none |= is_none(value);
#pragma unroll
    for (int k = 0; k < LOW; ++k) {
      const float kept = fminf(low[k], value);
      value = fmaxf(low[k], value);
      low[k] = kept;
    }
    // As long as there is room, what falls out is an empty place.
    if (example < LOW) return;
#pragma unroll
    for (int k = 0; k < HIGH; ++k) {
      const float kept = fmaxf(high[k], value);
      value = fminf(high[k], value);
      high[k] = kept;
    }
    if (example < LOW + HIGH) return;
    sum += value;
    least = fminf(least, value);
    greatest = fmaxf(greatest, value);
  }

  __device__ float total(float scale) const {
    float result = sum;
    if (!TRIMS && LOW > 0) result += LOW * least;
    if (!TRIMS && HIGH > 0) result += HIGH * greatest;
    return has_none ? not_a_number() : result * scale;
  }
};

// rows [batch, width]
KERNEL void clipped_rows(float *target, const float *rows, int batch, float scale, long long width) {
  EACH(i, width) {
    Clipped clipped;
    for (int b = 0; b < batch; ++b) clipped.take(b, rows[b * width + i]);
    target[i] = clipped.total(scale);
  }
}

// delta [batch, out] and input [batch, in]. A warp has neighbouring inputs of one output.
KERNEL void clipped_outer(float *target, const float *delta, const float *input, int batch, int out,
                                         int in, float scale) {
  for (int o = blockIdx.y * blockDim.y + threadIdx.y; o < out; o += gridDim.y * blockDim.y) {
    EACH(i, in) {
      Clipped clipped;
      for (int b = 0; b < batch; ++b) {
        clipped.take(b, delta[b * (long long)out + o] * input[b * (long long)in + i]);
      }
      target[o * (long long)in + i] = clipped.total(scale);
    }
  }
}
#endif
