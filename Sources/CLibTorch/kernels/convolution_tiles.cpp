// SPDX-License-Identifier: Apache-2.0

#include "convolution_tiles.h"

#include "../support.h"
#include "vectors.h"

namespace coherent {
namespace {

CT_INLINE void fetch_ahead(Ahead &ahead, int64_t width) {
  constexpr int64_t line = 64 / sizeof(float);
  for (int64_t k = 0; k < ahead.each && ahead.left > 0; ++k, --ahead.left, ahead.place += ahead.step) {
    for (int64_t i = 0; i < width; i += line) __builtin_prefetch(ahead.place + i, 0, 2);
  }
}

template <int bytes, int vectors, int inputs>
CT_INLINE void tile(float *out, int64_t distance, const Walk &walk, bool adds) {
  constexpr int64_t lanes = bytes / 4;
  typedef float V __attribute__((vector_size(bytes)));
  V sums[vectors][inputs] = {};
  Ahead deltas_ahead = walk.deltas_ahead, inputs_ahead = walk.inputs_ahead;
  for (int64_t row = 0; row < walk.rows; ++row) {
    const float *d = walk.delta + row * walk.delta_row, *x = walk.input + row * walk.input_row;
    fetch_ahead(deltas_ahead, vectors * lanes);
    fetch_ahead(inputs_ahead, 1);
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
  constexpr ConvolutionTiles tiles_##name{bytes / 4, \
                                          {{CT_SMALL(name, 1), tile_##name##_1_8, tile_##name##_1_16}, \
                                           {CT_SMALL(name, 2), tile_##name##_2_8, nullptr}, \
                                           {CT_SMALL(name, 4), nullptr, nullptr}}, \
                                          depthwise_##name};

CT_VARIANTS(CT_VARIANT)

}  // namespace

const ConvolutionTiles &convolution_tiles() { return CT_CHOSEN(tiles); }

}  // namespace coherent
