// SPDX-License-Identifier: Apache-2.0
//
// The weight gradient of a convolution one example at a time. For a tap (p, q) of the window it is a product over the
// positions: Σₜ δₜ ⊗ xₜ₊ₚq. A register tile of output channels (in vectors) by input channels runs over all positions
// of an example, so that a row costs what its share of the ordinary weight gradient costs, and nothing is unfolded.

#include "convolution_rows.h"

#include <algorithm>
#include <iterator>

#include "vectors.h"

namespace coherent {

// Where a tap meets the image: the output positions from which it looks inside, and the strides of a walk over them.
struct ConvolutionRows::Segment {
  int64_t rows, columns;             // of output positions
  int64_t delta_start, input_start;  // of the first, in pixels
  int64_t delta_row, input_row;      // between rows, in pixels
};

namespace {

struct Walk {
  const float *delta, *input;
  int64_t rows, columns, delta_row, delta_step, input_row, input_step;
};

// out [vectors][inputs][lanes], `distance` apart between vectors, (+)= Σ over positions of δ (in lanes) times x.
template <int bytes, int vectors, int inputs>
CT_INLINE void tile(float *out, int64_t distance, const Walk &walk, bool adds) {
  constexpr int64_t lanes = bytes / 4;
  typedef float V __attribute__((vector_size(bytes)));
  V sums[vectors][inputs] = {};
  for (int64_t row = 0; row < walk.rows; ++row) {
    const float *d = walk.delta + row * walk.delta_row, *x = walk.input + row * walk.input_row;
    for (int64_t column = 0; column < walk.columns; ++column) {
      V delta[vectors];
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; ++v) fetch(d + v * lanes, delta[v]);
#pragma clang loop unroll(full)
      for (int i = 0; i < inputs; ++i) {
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; ++v) sums[v][i] += x[i] * delta[v];
      }
      d += walk.delta_step;
      x += walk.input_step;
    }
  }
  for (int v = 0; v < vectors; ++v) {
    for (int i = 0; i < inputs; ++i) {
      float *place = out + v * distance + i * lanes;
      if (adds) {
        V before;
        fetch(place, before);
        sums[v][i] += before;
      }
      store(place, sums[v][i]);
    }
  }
}

// out [C] (+)= Σ over positions of δ·x, channel by channel.
template <typename V>
CT_INLINE void depthwise_vector(float *out, const Walk &walk, bool adds) {
  V sum = {};
  for (int64_t row = 0; row < walk.rows; ++row) {
    const float *d = walk.delta + row * walk.delta_row, *x = walk.input + row * walk.input_row;
    for (int64_t column = 0; column < walk.columns; ++column) {
      V delta, value;
      fetch(d + column * walk.delta_step, delta);
      fetch(x + column * walk.input_step, value);
      sum += delta * value;
    }
  }
  if (adds) {
    V before;
    fetch(out, before);
    sum += before;
  }
  store(out, sum);
}

template <int bytes>
CT_INLINE void depthwise_tap(float *out, const Walk &walk, int64_t channels, bool adds) {
  typedef float V __attribute__((vector_size(bytes)));
  Walk own = walk;
  int64_t c = 0;
  for (; c + bytes / 4 <= channels; c += bytes / 4, own.delta += bytes / 4, own.input += bytes / 4) {
    depthwise_vector<V>(out + c, own, adds);
  }
  for (; c < channels; ++c, ++own.delta, ++own.input) depthwise_vector<float>(out + c, own, adds);
}

// Tiles by the number of vectors and of inputs; none where the sums would not fit the registers.
constexpr int64_t tile_vectors[] = {1, 2, 4}, tile_inputs[] = {1, 2, 3, 4, 8, 16};

struct Kernels {
  int64_t lanes;
  void (*tile[3][6])(float *out, int64_t distance, const Walk &walk, bool adds);
  void (*depthwise)(float *out, const Walk &walk, int64_t channels, bool adds);
};

#define CT_TILE(name, bytes, attribute, vectors, inputs) \
  attribute void tile_##name##_##vectors##_##inputs(float *out, int64_t distance, const Walk &walk, bool adds) { \
    tile<bytes, vectors, inputs>(out, distance, walk, adds); \
  }
#define CT_TILES(name, bytes, attribute, vectors) \
  CT_TILE(name, bytes, attribute, vectors, 1) \
  CT_TILE(name, bytes, attribute, vectors, 2) \
  CT_TILE(name, bytes, attribute, vectors, 3) \
  CT_TILE(name, bytes, attribute, vectors, 4)
#define CT_SMALL(name, vectors) \
  tile_##name##_##vectors##_1, tile_##name##_##vectors##_2, tile_##name##_##vectors##_3, tile_##name##_##vectors##_4
#define CT_VARIANT(name, bytes, attribute) \
  CT_TILES(name, bytes, attribute, 1) \
  CT_TILES(name, bytes, attribute, 2) \
  CT_TILES(name, bytes, attribute, 4) \
  CT_TILE(name, bytes, attribute, 1, 8) \
  CT_TILE(name, bytes, attribute, 2, 8) \
  CT_TILE(name, bytes, attribute, 1, 16) \
  attribute void depthwise_##name(float *out, const Walk &walk, int64_t channels, bool adds) { \
    depthwise_tap<bytes>(out, walk, channels, adds); \
  } \
  constexpr Kernels kernels_##name{bytes / 4, \
                                   {{CT_SMALL(name, 1), tile_##name##_1_8, tile_##name##_1_16}, \
                                    {CT_SMALL(name, 2), tile_##name##_2_8, nullptr}, \
                                    {CT_SMALL(name, 4), nullptr, nullptr}}, \
                                   depthwise_##name};

CT_VARIANTS(CT_VARIANT)

const Kernels &kernels() { return CT_CHOSEN(kernels); }

int64_t rounded(int64_t count, int64_t unit) { return (count + unit - 1) / unit * unit; }

}  // namespace

bool ConvolutionRows::suits(const at::Tensor &input, const at::Tensor &delta) {
  const auto one = [](const at::Tensor &t) {
    return t.is_cpu() && t.scalar_type() == at::kFloat && t.dim() == 4 && t.numel() > 0;
  };
  return one(input) && one(delta);
}

ConvolutionRows::ConvolutionRows(const at::Tensor &input_tensor, const at::Tensor &delta_tensor, const int64_t *kernel,
                                 const int64_t *geometry, int64_t groups)
    : batch(input_tensor.size(0)), height(input_tensor.size(2)), width(input_tensor.size(3)),
      channels(input_tensor.size(1)), out_height(delta_tensor.size(2)), out_width(delta_tensor.size(3)),
      outputs(delta_tensor.size(1)), kh(kernel[0]), kw(kernel[1]), sh(geometry[0]), sw(geometry[1]), ph(geometry[2]),
      pw(geometry[3]), dh(geometry[4]), dw(geometry[5]), groups(groups) {
  const auto reach = [](int64_t size, int64_t window, int64_t stride, int64_t padding, int64_t dilation) {
    return (size + 2 * padding - dilation * (window - 1) - 1) / stride + 1;
  };
  TORCH_CHECK_VALUE(batch == delta_tensor.size(0) && groups > 0 && channels % groups == 0 && outputs % groups == 0 &&
                        out_height == reach(height, kh, sh, ph, dh) && out_width == reach(width, kw, sw, pw, dw),
                    "input ", input_tensor.sizes(), " and output gradient ", delta_tensor.sizes(),
                    " do not belong to one convolution");
  depthwise = groups > 1 && groups == channels && groups == outputs;
  lanes = kernels().lanes;
  padded = rounded(outputs_per_group(), lanes);
  x = input_tensor.contiguous(at::MemoryFormat::ChannelsLast);
  d = delta_tensor.contiguous(at::MemoryFormat::ChannelsLast);
  input = read<float>(x);
  delta = read<float>(d);
  if (depthwise || padded == outputs_per_group()) return;
  // Output channels in whole vectors, the rest 0.
  auto wide = at::zeros({batch, out_height, out_width, groups, padded}, at::kFloat);
  wide.narrow(4, 0, outputs_per_group())
      .copy_(d.permute({0, 2, 3, 1}).reshape({batch, out_height, out_width, groups, outputs_per_group()}));
  d = wide;
  delta = read<float>(d);
}

int64_t ConvolutionRows::blocks() const { return depthwise || groups > 1 ? 1 : padded / lanes; }

int64_t ConvolutionRows::size() const {
  return depthwise ? kh * kw * channels : groups * padded * kh * kw * channels_per_group();
}

ConvolutionRows::Segment ConvolutionRows::segment(int64_t p, int64_t q) const {
  // Output position h looks at input h·s − padding + p·dilation, which must lie in 0..<size.
  const auto range = [](int64_t size, int64_t out, int64_t stride, int64_t offset) {
    const int64_t first = offset < 0 ? (-offset + stride - 1) / stride : 0;
    const int64_t last = size - 1 - offset < 0 ? 0 : std::min(out, (size - 1 - offset) / stride + 1);
    return std::pair(first, std::max(first, last));
  };
  const int64_t down = p * dh - ph, right = q * dw - pw;
  const auto [top, bottom] = range(height, out_height, sh, down);
  const auto [left, end] = range(width, out_width, sw, right);
  Segment result{bottom - top, end - left, top * out_width + left, (top * sh + down) * width + left * sw + right,
                 out_width, sh * width};
  // A walk without gaps is one long row.
  if (result.columns == out_width && result.columns * sw == result.input_row) {
    result.columns *= result.rows;
    result.rows = result.rows > 0;
  }
  return result;
}

void ConvolutionRows::row(float *out, int64_t example, int64_t first, int64_t last, bool adds) const {
  const Kernels &k = kernels();
  const int64_t wide = depthwise ? channels : groups * padded, own = channels_per_group(), taps = kh * kw;
  const float *x0 = input + example * height * width * channels, *d0 = delta + example * out_height * out_width * wide;
  for (int64_t p = 0; p < kh; ++p) {
    for (int64_t q = 0; q < kw; ++q) {
      const Segment s = segment(p, q);
      const int64_t tap = p * kw + q;
      const Walk walk{d0 + s.delta_start * wide, x0 + s.input_start * channels, s.columns > 0 ? s.rows : 0, s.columns,
                      s.delta_row * wide, wide, s.input_row * channels, sw * channels};
      if (depthwise) {
        k.depthwise(out + tap * channels, walk, channels, adds);
        continue;
      }
      const int64_t distance = taps * own * lanes;  // between vectors of outputs
      for (int64_t g = 0; g < groups; ++g) {
        const int64_t from = groups > 1 ? 0 : first, to = groups > 1 ? padded / lanes : last;
        for (int64_t v = from; v < to;) {
          // Few inputs to a position: more outputs instead, so that enough sums run side by side.
          const int wide = own <= 4 && to - v >= 4 ? 2 : to - v >= 2 ? 1 : 0;
          float *place = out + ((g * (padded / lanes) + v - from) * taps + tap) * own * lanes;
          for (int64_t i = 0; i < own;) {
            int step = std::size(tile_inputs) - 1;
            while (tile_inputs[step] > own - i || k.tile[wide][step] == nullptr) --step;
            Walk part = walk;
            part.delta += g * padded + v * lanes;
            part.input += g * own + i;
            k.tile[wide][step](place + i * lanes, distance, part, adds);
            i += tile_inputs[step];
          }
          v += tile_vectors[wide];
        }
      }
    }
  }
}

void ConvolutionRows::arrange(float *weight, const float *row, int64_t first, int64_t last, bool accumulate) const {
  const int64_t taps = kh * kw, own = channels_per_group(), per_group = outputs_per_group();
  const auto put = [&](float *to, float value) { *to = accumulate ? *to + value : value; };
  if (depthwise) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t t = 0; t < taps; ++t) put(weight + c * taps + t, row[t * channels + c]);
    }
    return;
  }
  const int64_t each = groups > 1 ? padded / lanes : last - first, offset = groups > 1 ? 0 : first;
  parallel_for_each(groups * each, [&](int64_t place) {
    const int64_t g = place / each, o = (place % each + offset) * lanes;
    const float *from = row + place * taps * own * lanes;
    for (int64_t l = 0; l < lanes && o + l < per_group; ++l) {
      float *to = weight + (g * per_group + o + l) * own * taps;
      for (int64_t i = 0; i < own; ++i) {
        for (int64_t t = 0; t < taps; ++t) put(to + i * taps + t, from[(t * own + i) * lanes + l]);
      }
    }
  });
}

}  // namespace coherent
