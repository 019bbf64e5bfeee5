// SPDX-License-Identifier: Apache-2.0
//
// The weight gradient of a linear layer, written straight into the flat gradient buffer. libtorch's own products
// either run AVX2 code on AMD (MKL) or only return fresh memory (oneDNN), which costs a copy of every gradient.
//
// A register tile of MR rows (outputs) by NV vectors (inputs) is accumulated over the whole batch. δ is repacked into
// panels of MR outputs, the input block into NV·lanes columns: both then stream from the first-level cache whatever
// the layer's width (rows 2048 floats apart would all fall into one cache set).

#include "weight_gradient.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "../support.h"

namespace coherent {
namespace {

template <int bytes>
using Vector __attribute__((vector_size(bytes), aligned(4))) = float;

// Sums one tile. `panel` holds B groups of MR values of δ, `block` B rows of NV·lanes inputs.
template <int bytes, int MR, int NV>
__attribute__((always_inline)) inline void tile(float *sums, const float *panel, const float *block, int64_t batch) {
  constexpr int lanes = bytes / 4;
  typedef float V __attribute__((vector_size(bytes), aligned(4)));
  V total[MR][NV] = {};
  for (int64_t b = 0; b < batch; ++b) {
    V x[NV];
    for (int v = 0; v < NV; ++v) x[v] = *reinterpret_cast<const V *>(block + b * NV * lanes + v * lanes);
    for (int r = 0; r < MR; ++r) {
      const float d = panel[b * MR + r];
      for (int v = 0; v < NV; ++v) total[r][v] += d * x[v];
    }
  }
  for (int r = 0; r < MR; ++r) {
    for (int v = 0; v < NV; ++v) *reinterpret_cast<V *>(sums + (r * NV + v) * lanes) = total[r][v];
  }
}

struct Kernel {
  int rows, columns;
  void (*run)(float *sums, const float *panel, const float *block, int64_t batch);
};

#if defined(__x86_64__)
__attribute__((target("avx512f"))) void tile_avx512(float *s, const float *p, const float *b, int64_t n) {
  tile<64, 8, 3>(s, p, b, n);
}
__attribute__((target("avx512f"))) void tile_avx512_wide(float *s, const float *p, const float *b, int64_t n) {
  tile<64, 6, 4>(s, p, b, n);
}
__attribute__((target("avx2,fma"))) void tile_avx2(float *s, const float *p, const float *b, int64_t n) {
  tile<32, 4, 3>(s, p, b, n);
}
#endif
void tile_baseline(float *s, const float *p, const float *b, int64_t n) { tile<16, 4, 2>(s, p, b, n); }

Kernel choose(int64_t in) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) {
    // Of the two tile shapes, the one that leaves less of the last block unused.
    const auto waste = [&](int64_t width) { return (width - in % width) % width; };
    return waste(64) <= waste(48) ? Kernel{6, 64, tile_avx512_wide} : Kernel{8, 48, tile_avx512};
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return {4, 24, tile_avx2};
#endif
  return {4, 8, tile_baseline};
}

constexpr int64_t largest_tile = 8 * 64;

#if defined(__x86_64__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
void add_row(float *target, const float *source, int64_t count) {
  for (int64_t c = 0; c < count; ++c) target[c] += source[c];
}

}  // namespace

void weight_gradient(float *gradient, float *bias, const float *delta, const float *input, int64_t batch, int64_t out,
                     int64_t in, bool accumulate) {
  const Kernel kernel = choose(in);
  const int64_t MR = kernel.rows, NC = kernel.columns;
  const int64_t panels = (out + MR - 1) / MR, blocks = (in + NC - 1) / NC;

  // δ in panels, zero-padded to whole tiles; the bias gradient falls out on the way.
  const auto panel_memory = at::empty({panels * batch * MR}, at::kFloat);
  float *packed = panel_memory.mutable_data_ptr<float>();
  const int64_t share = std::max<int64_t>(1, panels / 32);
  parallel_for_each((panels + share - 1) / share, [&](int64_t chunk) {
    for (int64_t p = chunk * share; p < std::min(panels, (chunk + 1) * share); ++p) {
      const int64_t rows = std::min(MR, out - p * MR);
      float *target = packed + p * batch * MR;
      float sums[8] = {};
      for (int64_t b = 0; b < batch; ++b) {
        const float *source = delta + b * out + p * MR;
        for (int64_t r = 0; r < MR; ++r) {
          const float d = r < rows ? source[r] : 0;
          target[b * MR + r] = d;
          sums[r] += d;
        }
      }
      if (bias == nullptr) continue;
      for (int64_t r = 0; r < rows; ++r) bias[p * MR + r] = accumulate ? bias[p * MR + r] + sums[r] : sums[r];
    }
  });

  // Enough tasks for an even split: blocks of inputs times spans of panels.
  const int64_t spans = std::clamp<int64_t>(panels / 16, 1, 4);
  const int64_t span = (panels + spans - 1) / spans;
  parallel_for_each(blocks * spans, [&](int64_t task) {
    const int64_t column = task / spans * NC, width = std::min(NC, in - column);
    const int64_t first = task % spans * span, last = std::min(panels, first + span);
    if (first >= last) return;
    thread_local std::vector<float> block_memory;
    block_memory.resize(batch * NC);
    float *block = block_memory.data();
    for (int64_t b = 0; b < batch; ++b) {
      std::memcpy(block + b * NC, input + b * in + column, width * sizeof(float));
      if (width < NC) std::memset(block + b * NC + width, 0, (NC - width) * sizeof(float));
    }
    alignas(64) float sums[largest_tile];
    for (int64_t p = first; p < last; ++p) {
      kernel.run(sums, packed + p * batch * MR, block, batch);
      const int64_t rows = std::min(MR, out - p * MR);
      for (int64_t r = 0; r < rows; ++r) {
        float *target = gradient + (p * MR + r) * in + column;
        if (accumulate) {
          add_row(target, sums + r * NC, width);
        } else {
          std::memcpy(target, sums + r * NC, width * sizeof(float));
        }
      }
    }
  });
}

}  // namespace coherent

ct_status *ct_weight_gradient(const ct_tensor *gradient, const ct_tensor *bias_gradient,
                              const ct_tensor *output_gradient, const ct_tensor *input, bool accumulate) {
  return coherent::guarded([&] {
    const at::Tensor &g = gradient->value, &d = output_gradient->value, &x = input->value;
    TORCH_CHECK_VALUE(g.dim() == 2 && d.dim() == 2 && x.dim() == 2 && d.size(0) == x.size(0) &&
                          g.size(0) == d.size(1) && g.size(1) == x.size(1),
                      "weight gradient ", g.sizes(), " does not fit output gradient ", d.sizes(), " and input ",
                      x.sizes());
    for (const auto *t : {&g, &d, &x}) {
      TORCH_CHECK_VALUE(t->scalar_type() == at::kFloat && t->is_contiguous() && t->is_cpu(),
                        "the tiled weight gradient takes contiguous float32 tensors on the CPU");
    }
    float *bias = nullptr;
    if (bias_gradient != nullptr) {
      const auto &b = bias_gradient->value;
      TORCH_CHECK_VALUE(b.scalar_type() == at::kFloat && b.is_contiguous() && b.is_cpu() && b.dim() == 1 &&
                            b.size(0) == g.size(0),
                        "bias gradient ", b.sizes(), " does not fit weight gradient ", g.sizes());
      bias = b.data_ptr<float>();
    }
    coherent::weight_gradient(g.data_ptr<float>(), bias, coherent::read<float>(d), coherent::read<float>(x),
                              d.size(0), g.size(0), g.size(1), accumulate);
  });
}
