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

#include "../bounds.h"
#include "../support.h"
#include "median.h"
#include "signs.h"

namespace coherent {
namespace {

template <int bytes>
using Vector __attribute__((vector_size(bytes), aligned(4))) = float;

// Sums one tile. `panel` holds B groups of MR values of δ, `block` B rows of NV·lanes inputs.
template <int bytes, int MR, int NV>
CT_INLINE void tile(float *sums, const float *panel, const float *block, int64_t batch) {
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

CT_CLONES void add_row(float *target, const float *source, int64_t count) {
  for (int64_t c = 0; c < count; ++c) target[c] += source[c];
}

// δ in panels of MR outputs, zero-padded to whole tiles.
struct Panels {
  at::Tensor memory;
  int64_t count;

  // `factors`, where given, has a number for every example. `bias` gets the sum over each span of examples that ends at
  // one of `ends`: [ends, out].
  Panels(const float *delta, const float *factors, int64_t batch, int64_t out, int64_t MR, const int64_t *ends,
         int64_t groups, float *bias)
      : memory(at::empty({(out + MR - 1) / MR * batch * MR}, at::kFloat)), count((out + MR - 1) / MR) {
    float *packed = memory.mutable_data_ptr<float>();
    const int64_t share = std::max<int64_t>(1, count / 32);
    parallel_for_each((count + share - 1) / share, [&](int64_t chunk) {
      for (int64_t p = chunk * share; p < std::min(count, (chunk + 1) * share); ++p) {
        const int64_t rows = std::min(MR, out - p * MR);
        float *target = packed + p * batch * MR;
        for (int64_t g = 0, b = 0; g < groups; ++g) {
          float sums[8] = {};
          for (; b < ends[g]; ++b) {
            const float *source = delta + b * out + p * MR;
            const float factor = factors == nullptr ? 1 : factors[b];
            for (int64_t r = 0; r < MR; ++r) {
              const float d = r < rows ? factor * source[r] : 0;
              target[b * MR + r] = d;
              sums[r] += d;
            }
          }
          if (bias != nullptr) std::memcpy(bias + g * out + p * MR, sums, rows * sizeof(float));
        }
      }
    });
  }
};

// Runs body(panel, block of inputs, its column and width) over all tiles; enough tasks for an even split: blocks of
// inputs times spans of panels.
template <typename Body>
void for_each_tile(const Kernel &kernel, int64_t panels, const float *input, int64_t batch, int64_t in,
                   const Body &body) {
  const int64_t NC = kernel.columns, blocks = (in + NC - 1) / NC;
  const int64_t spans = std::clamp<int64_t>(panels / 16, 1, 4);
  const int64_t span = (panels + spans - 1) / spans;
  parallel_for_each(blocks * spans, [&](int64_t task) {
    const int64_t column = task / spans * NC, width = std::min(NC, in - column);
    const int64_t first = task % spans * span, last = std::min(panels, first + span);
    if (first >= last) return;
    float *block = scratch(batch * NC);
    for (int64_t b = 0; b < batch; ++b) {
      std::memcpy(block + b * NC, input + b * in + column, width * sizeof(float));
      if (width < NC) std::memset(block + b * NC + width, 0, (NC - width) * sizeof(float));
    }
    for (int64_t p = first; p < last; ++p) body(p, block, column, width);
  });
}

}  // namespace

void weight_gradient(float *gradient, float *bias, const float *delta, const float *input, int64_t batch, int64_t out,
                     int64_t in, bool accumulate) {
  const Kernel kernel = choose(in);
  const int64_t MR = kernel.rows, NC = kernel.columns;
  std::vector<float> sums(bias != nullptr && accumulate ? out : 0);
  const Panels panels(delta, nullptr, batch, out, MR, &batch, 1, sums.empty() ? bias : sums.data());
  if (!sums.empty()) add_row(bias, sums.data(), out);
  const float *packed = panels.memory.data_ptr<float>();
  for_each_tile(kernel, panels.count, input, batch, in, [&](int64_t p, const float *block, int64_t column, int64_t width) {
    alignas(64) float sums[largest_tile];
    kernel.run(sums, packed + p * batch * MR, block, batch);
    for (int64_t r = 0; r < std::min(MR, out - p * MR); ++r) {
      float *target = gradient + (p * MR + r) * in + column;
      if (accumulate) {
        add_row(target, sums + r * NC, width);
      } else {
        std::memcpy(target, sums + r * NC, width * sizeof(float));
      }
    }
  });
}

void weight_gradient_median(float *gradient, float *bias, const float *delta, const float *input, const float *factors,
                            int64_t batch, int64_t out, int64_t in, const int64_t *ends, int64_t groups) {
  const Kernel kernel = choose(in);
  const int64_t MR = kernel.rows, NC = kernel.columns;
  std::vector<float> biases(bias == nullptr ? 0 : groups * out);
  const Panels panels(delta, factors, batch, out, MR, ends, groups, bias == nullptr ? nullptr : biases.data());
  if (bias != nullptr) median_of(bias, biases.data(), out, groups, out);
  const float *packed = panels.memory.data_ptr<float>();
  for_each_tile(kernel, panels.count, input, batch, in, [&](int64_t p, const float *block, int64_t column, int64_t width) {
    // The group sums of a tile meet in the first-level cache; only their median goes to memory.
    alignas(64) float sums[largest_median * largest_tile], middle[largest_tile];
    int64_t start = 0;
    for (int64_t g = 0; g < groups; ++g) {
      kernel.run(sums + g * largest_tile, packed + (p * batch + start) * MR, block + start * NC, ends[g] - start);
      start = ends[g];
    }
    median_of(middle, sums, largest_tile, groups, MR * NC);
    for (int64_t r = 0; r < std::min(MR, out - p * MR); ++r) {
      std::memcpy(gradient + (p * MR + r) * in + column, middle + r * NC, width * sizeof(float));
    }
  });
}

namespace {

// Checks the tensors of a weight gradient; the elements of the bias gradient, null without one.
float *checked(const at::Tensor &g, const ct_tensor *bias, const at::Tensor &d, const at::Tensor &x) {
  TORCH_CHECK_VALUE(g.dim() == 2 && d.dim() == 2 && x.dim() == 2 && d.size(0) == x.size(0) && g.size(0) == d.size(1) &&
                        g.size(1) == x.size(1),
                    "weight gradient ", g.sizes(), " does not fit output gradient ", d.sizes(), " and input ", x.sizes());
  for (const auto *t : {&g, &d, &x}) {
    TORCH_CHECK_VALUE(is_plain(*t), "the tiled weight gradient takes contiguous float32 tensors on the CPU");
  }
  if (bias == nullptr) return nullptr;
  const auto &b = bias->value;
  TORCH_CHECK_VALUE(is_plain(b) && b.dim() == 1 && b.size(0) == g.size(0),
                    "bias gradient ", b.sizes(), " does not fit weight gradient ", g.sizes());
  return b.data_ptr<float>();
}

}  // namespace
}  // namespace coherent

ct_status *ct_weight_gradient(const ct_tensor *gradient, const ct_tensor *bias_gradient,
                              const ct_tensor *output_gradient, const ct_tensor *input, ct_product product,
                              bool accumulate) {
  using namespace coherent;
  return guarded([&] {
    const at::Tensor &g = gradient->value, &d = output_gradient->value, &x = input->value;
    float *bias = checked(g, bias_gradient, d, x);
    if (product != CT_PRODUCT_TILED) {
      at::NoGradGuard no_grad;
      at::Tensor target = g;
      accumulate ? target.addmm_(d.t(), x) : at::mm_out(target, d.t(), x);
      if (bias == nullptr) return;
      at::Tensor sums = bias_gradient->value;
      accumulate ? sums.add_(d.sum(0)) : at::sum_out(sums, d, 0);
      return;
    }
    weight_gradient(g.data_ptr<float>(), bias, read<float>(d), read<float>(x), d.size(0), g.size(0), g.size(1),
                    accumulate);
  });
}

ct_status *ct_weight_sign_sum(const ct_tensor *gradient, const ct_tensor *bias_gradient,
                              const ct_tensor *output_gradient, const ct_tensor *input) {
  using namespace coherent;
  return guarded([&] {
    const at::Tensor &g = gradient->value, &d = output_gradient->value, &x = input->value;
    float *bias = checked(g, bias_gradient, d, x);
    at::NoGradGuard no_grad;
    const int64_t batch = d.size(0), out = g.size(0), in = g.size(1);
    // libtorch's product of bytes does not write its result when it has one row; small ones gain nothing.
    if (has_byte_products() && batch > 0 && out >= 8 && in >= 8) {
      at::Tensor of_delta = at::empty({batch, out}, at::kChar), of_input = at::empty({batch, in}, at::kChar);
      const bool ordered = byte_signs(of_delta.data_ptr<int8_t>(), read<float>(d), batch * out) &&
                           byte_signs(of_input.data_ptr<int8_t>(), read<float>(x), batch * in);
      // A byte has no NaN.
      if (ordered) {
        at::Tensor(g).copy_(at::_int_mm(of_delta.t().contiguous(), of_input));
        if (bias != nullptr) at::Tensor(bias_gradient->value).copy_(of_delta.sum(0, false, at::kInt));
        return;
      }
    }
    at::Tensor of_delta = at::empty_like(d), of_input = at::empty_like(x);
    signs(of_delta.data_ptr<float>(), read<float>(d), batch * out);
    signs(of_input.data_ptr<float>(), read<float>(x), batch * in);
    weight_gradient(g.data_ptr<float>(), bias, read<float>(of_delta), read<float>(of_input), batch, out, in, false);
  });
}

ct_status *ct_weight_gradient_median(const ct_tensor *gradient, const ct_tensor *bias_gradient,
                                     const ct_tensor *output_gradient, const ct_tensor *input, int64_t rows_per_example,
                                     const ct_range *groups, int64_t count) {
  using namespace coherent;
  return guarded([&] {
    const at::Tensor &g = gradient->value, &d = output_gradient->value, &x = input->value;
    float *bias = checked(g, bias_gradient, d, x);
    TORCH_CHECK_VALUE(count >= 3 && count <= largest_median && count % 2 == 1, "the median of ", count,
                      " groups is not supported: use 3, 5, 7 or 9");
    const auto ends = group_ends(groups, count, d.size(0), rows_per_example);
    std::vector<float> factors(d.size(0));
    for (int64_t k = 0, row = 0; k < count; ++k) {
      const float share = 1 / float(groups[k].end - groups[k].start);
      for (; row < ends[k]; ++row) factors[row] = share;
    }
    weight_gradient_median(g.data_ptr<float>(), bias, read<float>(d), read<float>(x), factors.data(), d.size(0),
                           g.size(0), g.size(1), ends.data(), count);
  });
}
