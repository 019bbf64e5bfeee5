// SPDX-License-Identifier: Apache-2.0
//
// The weight gradient of a convolution one example at a time. For a tap (p, q) of the window it is a product over the
// positions: Σₜ δₜ ⊗ xₜ₊ₚq. A register tile of output channels (in vectors) by input channels runs over all positions
// of an example, so that a row costs what its share of the ordinary weight gradient costs, and nothing is unfolded.
// Positions are taken a few rows of the image at a time, and the channels of a tile are copied next to each other first:
// pixels a power of two apart would drive each other out of the first-level cache.

#include "convolution_rows.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <vector>

#include "../bounds.h"
#include "convolution_tiles.h"
#include "vectors.h"

namespace coherent {

// Where a tap meets the image: the output positions from which it looks inside, and the strides of a walk over them.
struct ConvolutionRows::Segment {
  int64_t rows, columns;             // of output positions
  int64_t delta_start, input_start;  // of the first, in pixels
  int64_t delta_row, input_row;      // between rows, in pixels
};

namespace {

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
  check_convolution(input_tensor, delta_tensor, kernel, geometry, groups);
  depthwise = groups > 1 && groups == channels && groups == outputs;
  lanes = convolution_tiles().lanes;
  padded = rounded(outputs_per_group(), lanes);
  x = input_tensor;
  if (kh == 1 && kw == 1 && ph == 0 && pw == 0 && (sh > 1 || sw > 1)) {
    // Only the pixels that are looked at.
    x = x.slice(2, 0, (out_height - 1) * sh + 1, sh).slice(3, 0, (out_width - 1) * sw + 1, sw);
    height = out_height;
    width = out_width;
    sh = sw = 1;
  }
  x = x.contiguous(at::MemoryFormat::ChannelsLast);
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

ConvolutionRows::Segment ConvolutionRows::segment(int64_t p, int64_t q, int64_t top, int64_t bottom) const {
  // Output position h looks at input h·s − padding + p·dilation, which must lie in 0..<size.
  const auto range = [](int64_t size, int64_t out, int64_t stride, int64_t offset) {
    const int64_t first = offset < 0 ? (-offset + stride - 1) / stride : 0;
    const int64_t last = size - 1 - offset < 0 ? 0 : std::min(out, (size - 1 - offset) / stride + 1);
    return std::pair(first, std::max(first, last));
  };
  const int64_t down = p * dh - ph, right = q * dw - pw;
  auto [upper, lower] = range(height, out_height, sh, down);
  upper = std::max(upper, top);
  lower = std::max(upper, std::min(lower, bottom));
  const auto [left, end] = range(width, out_width, sw, right);
  Segment result{lower - upper, end - left, upper * out_width + left, (upper * sh + down) * width + left * sw + right,
                 out_width, sh * width};
  // A walk without gaps is one long row. Rows that are long already stay apart: memory is fetched ahead with each.
  const bool is_long = out_width >= 16 && taps() > 1 && !depthwise;
  if (!is_long && result.columns == out_width && result.columns * sw == result.input_row) {
    result.columns *= result.rows;
    result.rows = result.rows > 0;
  }
  return result;
}

namespace {

// Some channels of an image, pixel after pixel: the channels of a pixel lie together, pixels `step` apart.
struct Pixels {
  const float *start;  // of the image's first pixel, even where only some of them are there
  int64_t step;
};

template <int64_t width>
CT_INLINE void copy_pixels(float *__restrict to, const float *__restrict from, int64_t count, int64_t step) {
  for (int64_t i = 0; i < count; ++i) std::memcpy(to + i * width, from + i * step, width * sizeof(float));
}

// Copies `channels` channels of `count` pixels next to each other.
CT_CLONES void gather(float *to, const float *from, int64_t count, int64_t step, int64_t channels) {
  switch (channels) {
    case 8: return copy_pixels<8>(to, from, count, step);
    case 16: return copy_pixels<16>(to, from, count, step);
    case 32: return copy_pixels<32>(to, from, count, step);
    default:
      for (int64_t i = 0; i < count; ++i) std::memcpy(to + i * channels, from + i * step, channels * sizeof(float));
  }
}

// As many positions as let a tile's gradients and inputs share a first-level cache.
constexpr int64_t positions_at_once = 256;
// As many inputs as stay in the second-level cache, in floats.
constexpr int64_t inputs_at_once = 1 << 16;
// Images up to this size, in floats, are taken as they are.
constexpr int64_t small_image = 1 << 14;

}  // namespace

bool ConvolutionRows::is_small() const { return height * width * channels <= small_image; }

void ConvolutionRows::row(float *out, int64_t example, int64_t first, int64_t last, bool adds) const {
  if (depthwise) return depthwise_row(out, example, adds);
  const int64_t rows = is_small() ? out_height : std::clamp<int64_t>(positions_at_once / out_width, 1, out_height);
  const int64_t own = channels_per_group(), reach = (rows - 1) * sh + (kh - 1) * dh + 1;
  const int64_t most = std::max<int64_t>(16, inputs_at_once / (reach * width) / 16 * 16);
  for (int64_t top = 0; top < out_height; top += rows) {
    const int64_t bottom = std::min(out_height, top + rows);
    for (int64_t g = 0; g < groups; ++g) {
      for (int64_t i = 0; i < own; i += most) {
        part(out, {example, g, first, last, top, bottom, i, std::min(own, i + most), adds || top > 0});
      }
    }
  }
}

// What comes next in memory, further rows of an image or the next image: `count` pieces, `step` numbers apart, which
// `calls` tiles fetch together. The first tap would wait for all of it otherwise.
struct ConvolutionRows::Following {
  const float *place = nullptr;
  int64_t left = 0, step = 0, each = 0, rows = 1;

  Following() = default;
  Following(const float *place, int64_t count, int64_t step, int64_t calls, int64_t rows)
      : place(place), left(count), step(step), each((count + calls - 1) / calls), rows(rows) {}

  // The share of a tile that walks over all rows, or over a single long one.
  Ahead take(bool is_single) {
    const int64_t count = std::min(each, left);
    const Ahead result{place, step, count, is_single ? count : (count + rows - 1) / rows};
    place += count * step;
    left -= count;
    return result;
  }
};

ConvolutionRows::Following ConvolutionRows::following_deltas(const Part &part, int64_t vector, int64_t calls) const {
  const int64_t rows = part.bottom - part.top, before = part.example * out_height + part.bottom;
  const int64_t next = std::min(rows, batch * out_height - before);
  if (next <= 0 || !part.has_all(channels)) return {};
  return {delta + before * out_width * padded + vector * lanes, next * out_width, padded, calls, rows};
}

ConvolutionRows::Following ConvolutionRows::following_inputs(const Part &part, int64_t lower, int64_t calls) const {
  const int64_t rows = part.bottom - part.top, before = part.example * height + lower;
  const int64_t next = std::min(rows * sh, batch * height - before);
  if (next <= 0 || !part.has_all(channels)) return {};
  constexpr int64_t line = 16;
  return {input + before * width * channels, next * width * channels / line, line, calls, rows};
}

// The share of a row that some rows of the image have in the products of some outputs with some inputs.
void ConvolutionRows::part(float *out, const Part &part) const {
  const ConvolutionTiles &k = convolution_tiles();
  const int64_t wide = groups * padded, own = channels_per_group(), taps = kh * kw;
  const int64_t from = groups > 1 ? 0 : part.first, to = groups > 1 ? padded / lanes : part.last;
  // Few inputs to a position: more outputs instead, so that enough sums run side by side.
  const auto vectors_of = [&](int64_t v) { return own <= 4 && to - v >= 4 ? 2 : to - v >= 2 ? 1 : 0; };
  const auto inputs_of = [&](int64_t i, int vectors) {
    int step = std::size(tile_inputs) - 1;
    while (tile_inputs[step] > part.end - i || k.tile[vectors][step] == nullptr) --step;
    return step;
  };
  thread_local std::vector<float> input_memory, delta_memory;
  // Rows of the image that these outputs look at.
  const int64_t upper = std::max<int64_t>(0, part.top * sh - ph);
  const int64_t lower = std::clamp<int64_t>((part.bottom - 1) * sh - ph + (kh - 1) * dh + 1, 0, height);
  const int64_t pixels = std::max<int64_t>(0, lower - upper) * width;
  const int64_t count = part.end - part.start, positions = (part.bottom - part.top) * out_width;
  const float *image = input + part.example * height * width * channels + part.group * own + part.start;
  const float *gradient = delta + part.example * out_height * out_width * wide + part.group * padded;
  // Copies pay where a copy is read several times, and where there is something between the channels of a tile.
  const bool copies_input = !is_small() && channels > 16 && (to - from) * taps > 4;
  const bool copies_delta = !is_small() && taps * count > 16;
  float *copied = copies_input ? kept(input_memory, pixels * count) : nullptr;
  int arranged = -1;
  const auto calls_of = [&](int vectors) {
    const int64_t inputs = tile_inputs[inputs_of(part.start, vectors)];
    return taps * ((count + inputs - 1) / inputs);
  };
  const int64_t widest = tile_vectors[vectors_of(from)];
  const int64_t blocks = (to - from + widest - 1) / widest;
  Following inputs_ahead = following_inputs(part, lower, calls_of(vectors_of(from)) * blocks);
  for (int64_t v = from; v < to;) {
    const int vectors = vectors_of(v);
    const int64_t outputs = tile_vectors[vectors] * lanes;
    Following deltas_ahead = following_deltas(part, v, calls_of(vectors));
    Pixels d{gradient + v * lanes, wide};
    if (copies_delta && outputs < wide) {
      float *place = kept(delta_memory, positions * outputs);
      gather(place, d.start + part.top * out_width * wide, positions, wide, outputs);
      d = {place - part.top * out_width * outputs, outputs};
    }
    if (copies_input && arranged != vectors) {
      for (int64_t i = part.start; i < part.end;) {
        const int64_t inputs = tile_inputs[inputs_of(i, vectors)];
        gather(copied + (i - part.start) * pixels, image + (i - part.start) + upper * width * channels, pixels, channels,
               inputs);
        i += inputs;
      }
      arranged = vectors;
    }
    for (int64_t tap = 0; tap < taps; ++tap) {
      const Segment s = segment(tap / kw, tap % kw, part.top, part.bottom);
      const int64_t distance = taps * own * lanes;  // between vectors of outputs
      float *place = out + ((part.group * (padded / lanes) + v - from) * taps + tap) * own * lanes;
      for (int64_t i = part.start; i < part.end;) {
        const int step = inputs_of(i, vectors);
        const int64_t inputs = tile_inputs[step];
        const Pixels x = copies_input
                             ? Pixels{copied + (i - part.start) * pixels - upper * width * inputs, inputs}
                             : Pixels{image + (i - part.start), channels};
        const Walk walk{d.start + s.delta_start * d.step, x.start + s.input_start * x.step, s.columns > 0 ? s.rows : 0,
                        s.columns, s.delta_row * d.step, d.step, s.input_row * x.step, sw * x.step,
                        deltas_ahead.take(s.rows == 1), inputs_ahead.take(s.rows == 1)};
        k.tile[vectors][step](place + i * lanes, distance, walk, part.adds);
        i += inputs;
      }
    }
    v += tile_vectors[vectors];
  }
}

void ConvolutionRows::depthwise_row(float *out, int64_t example, bool adds) const {
  const float *image = input + example * height * width * channels;
  const float *gradient = delta + example * out_height * out_width * channels;
  for (int64_t tap = 0; tap < kh * kw; ++tap) {
    const Segment s = segment(tap / kw, tap % kw, 0, out_height);
    const Walk walk{gradient + s.delta_start * channels, image + s.input_start * channels, s.columns > 0 ? s.rows : 0,
                    s.columns, s.delta_row * channels, channels, s.input_row * channels, sw * channels};
    convolution_tiles().depthwise(out + tap * channels, walk, channels, adds);
  }
}

template <typename Use>
void ConvolutionRows::each_place(int64_t first, int64_t last, const Use &use) const {
  const int64_t taps = kh * kw, own = channels_per_group(), per_group = outputs_per_group();
  if (depthwise) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t t = 0; t < taps; ++t) use(c * taps + t, t * channels + c);
    }
    return;
  }
  const int64_t each = groups > 1 ? padded / lanes : last - first, offset = groups > 1 ? 0 : first;
  parallel_for_each(groups * each, [&](int64_t place) {
    const int64_t g = place / each, o = (place % each + offset) * lanes, from = place * taps * own * lanes;
    for (int64_t l = 0; l < lanes && o + l < per_group; ++l) {
      const int64_t to = (g * per_group + o + l) * own * taps;
      for (int64_t i = 0; i < own; ++i) {
        for (int64_t t = 0; t < taps; ++t) use(to + i * taps + t, from + (t * own + i) * lanes + l);
      }
    }
  });
}

void ConvolutionRows::arrange(float *weight, const float *row, int64_t first, int64_t last, bool accumulate) const {
  if (accumulate) {
    each_place(first, last, [&](int64_t to, int64_t from) { weight[to] += row[from]; });
  } else {
    each_place(first, last, [&](int64_t to, int64_t from) { weight[to] = row[from]; });
  }
}

void ConvolutionRows::pack(float *row, const float *weight) const {
  std::fill_n(row, size(), 0.0f);
  each_place(0, blocks(), [&](int64_t from, int64_t to) { row[to] = weight[from]; });
}

}  // namespace coherent
