// SPDX-License-Identifier: Apache-2.0

#include "norm_tiles.h"

#include <type_traits>

#include "../support.h"
#include "vectors.h"

namespace coherent {
namespace {

// Calls body(null pointer to V, channel) over all channels: wide vectors, then narrower ones for the rest.
template <int bytes, typename Body>
CT_INLINE void over_channels(int64_t channels, const Body &body) {
  typedef float Wide __attribute__((vector_size(bytes)));
  typedef float Narrow __attribute__((vector_size(16)));
  int64_t c = 0;
  for (; c + bytes / 4 <= channels; c += bytes / 4) body(static_cast<Wide *>(nullptr), c);
  for (; c + 4 <= channels; c += 4) body(static_cast<Narrow *>(nullptr), c);
  for (; c < channels; ++c) body(static_cast<float *>(nullptr), c);
}

constexpr int chains = 4;  // sums side by side, so that one addition need not wait for the last

// Mean, and sum of the squared deviations from it.
template <int bytes>
CT_INLINE void moments(const NormTile &t) {
  over_channels<bytes>(t.channels, [&](auto width, int64_t c) __attribute__((always_inline)) {
    using V = std::remove_pointer_t<decltype(width)>;
    V sums[chains] = {}, squares[chains] = {};
    int64_t r = 0;
    for (; r + chains <= t.rows; r += chains) {
      for (int k = 0; k < chains; ++k) {
        V x;
        fetch(t.x + (r + k) * t.channels + c, x);
        sums[k] += x;
      }
    }
    for (; r < t.rows; ++r) {
      V x;
      fetch(t.x + r * t.channels + c, x);
      sums[0] += x;
    }
    const V mean = ((sums[0] + sums[1]) + (sums[2] + sums[3])) * (1.0f / float(t.rows));
    for (r = 0; r + chains <= t.rows; r += chains) {
      for (int k = 0; k < chains; ++k) {
        V d;
        fetch(t.x + (r + k) * t.channels + c, d);
        d -= mean;
        squares[k] += d * d;
      }
    }
    for (; r < t.rows; ++r) {
      V d;
      fetch(t.x + r * t.channels + c, d);
      d -= mean;
      squares[0] += d * d;
    }
    store(t.first + c, mean);
    const V square = (squares[0] + squares[1]) + (squares[2] + squares[3]);
    store(t.second + c, square);
  });
}

template <int bytes, bool relu, bool residual>
CT_INLINE void apply_rows(const NormTile &t) {
  over_channels<bytes>(t.channels, [&](auto width, int64_t c) __attribute__((always_inline)) {
    using V = std::remove_pointer_t<decltype(width)>;
    const V none = {};
    V scale, shift;
    fetch(t.scale + c, scale);
    fetch(t.shift + c, shift);
    for (int64_t r = 0; r < t.rows; ++r) {
      const int64_t place = r * t.channels + c;
      V z;
      fetch(t.x + place, z);
      z = z * scale + shift;
      if (residual) {
        V rest;
        fetch(t.residual + place, rest);
        z += rest;
      }
      if (relu) z = z <= none ? none : z;  // NaN stays NaN
      store(t.out + place, z);
    }
  });
}

template <int bytes>
CT_INLINE void apply(const NormTile &t) {
  if (t.y != nullptr) {  // a mark only: with ReLU
    t.residual != nullptr ? apply_rows<bytes, true, true>(t) : apply_rows<bytes, true, false>(t);
  } else {
    t.residual != nullptr ? apply_rows<bytes, false, true>(t) : apply_rows<bytes, false, false>(t);
  }
}

// Where the ReLU's sign comes from: there is none, from the result, or from the input once more, which saves a read.
enum class Relu { none, of_result, of_input };

// The gradient behind the ReLU, of the input x; scale and shift are the channels'.
template <Relu relu, typename V>
CT_INLINE void behind_relu(const NormTile &t, int64_t place, const V &x, const V &scale, const V &shift, V &g) {
  fetch(t.gradient + place, g);
  const V none = {};
  if (relu == Relu::of_result) {
    V y;
    fetch(t.y + place, y);
    g = y <= none ? none : g;
  } else if (relu == Relu::of_input) {
    const V y = x * scale + shift;
    g = y <= none ? none : g;
  }
}

template <typename Body>
CT_INLINE void with_relu_of(const NormTile &t, const Body &body) {
  if (t.y != nullptr) {
    body(std::integral_constant<Relu, Relu::of_result>());
  } else if (t.shift != nullptr) {
    body(std::integral_constant<Relu, Relu::of_input>());
  } else {
    body(std::integral_constant<Relu, Relu::none>());
  }
}

// The gradient g behind the ReLU; sums of g and of g·(x − μ); and scale·g where the statistics are constants.
template <int bytes, Relu relu, bool passes, bool scales>
CT_INLINE void sum_rows(const NormTile &t) {
  over_channels<bytes>(t.channels, [&](auto width, int64_t c) __attribute__((always_inline)) {
    using V = std::remove_pointer_t<decltype(width)>;
    V mean, scale = {}, shift = {};
    fetch(t.mean + c, mean);
    if (scales || relu == Relu::of_input) fetch(t.scale + c, scale);
    if (relu == Relu::of_input) fetch(t.shift + c, shift);
    V first[chains] = {}, second[chains] = {};
    const auto row = [&](int64_t r, int k) __attribute__((always_inline)) {
      const int64_t place = r * t.channels + c;
      V g, x;
      fetch(t.x + place, x);
      behind_relu<relu>(t, place, x, scale, shift, g);
      if (passes) store(t.passed + place, g);
      if (scales) {
        const V scaled = g * scale;
        store(t.out + place, scaled);
      }
      first[k] += g;
      second[k] += g * (x - mean);
    };
    int64_t r = 0;
    for (; r + chains <= t.rows; r += chains) {
      for (int k = 0; k < chains; ++k) row(r + k, k);
    }
    for (; r < t.rows; ++r) row(r, 0);
    const V first_sum = (first[0] + first[1]) + (first[2] + first[3]);
    store(t.first + c, first_sum);
    const V second_sum = (second[0] + second[1]) + (second[2] + second[3]);
    store(t.second + c, second_sum);
  });
}

template <int bytes, Relu relu>
CT_INLINE void sums_for(const NormTile &t) {
  const bool passes = t.passed != nullptr, scales = t.out != nullptr;
  if (passes) {
    scales ? sum_rows<bytes, relu, true, true>(t) : sum_rows<bytes, relu, true, false>(t);
  } else {
    scales ? sum_rows<bytes, relu, false, true>(t) : sum_rows<bytes, relu, false, false>(t);
  }
}

template <int bytes>
CT_INLINE void sums(const NormTile &t) {
  with_relu_of(t, [&](auto relu) __attribute__((always_inline)) { sums_for<bytes, relu()>(t); });
}

// scale·g − offset − slope·(x − μ).
template <int bytes, Relu relu>
CT_INLINE void differentiate_rows(const NormTile &t) {
  over_channels<bytes>(t.channels, [&](auto width, int64_t c) __attribute__((always_inline)) {
    using V = std::remove_pointer_t<decltype(width)>;
    V mean, scale, slope, offset, shift = {};
    if (relu == Relu::of_input) fetch(t.shift + c, shift);
    fetch(t.mean + c, mean);
    fetch(t.scale + c, scale);
    fetch(t.slope + c, slope);
    fetch(t.offset + c, offset);
    for (int64_t r = 0; r < t.rows; ++r) {
      const int64_t place = r * t.channels + c;
      V g, x;
      fetch(t.x + place, x);
      behind_relu<relu>(t, place, x, scale, shift, g);
      const V result = scale * g - offset - slope * (x - mean);
      store(t.out + place, result);
    }
  });
}

template <int bytes>
CT_INLINE void differentiate(const NormTile &t) {
  with_relu_of(t, [&](auto relu) __attribute__((always_inline)) { differentiate_rows<bytes, relu()>(t); });
}

#define CT_VARIANT(name, bytes, attribute)                               \
  attribute void moments_##name(const NormTile &t) { moments<bytes>(t); }     \
  attribute void apply_##name(const NormTile &t) { apply<bytes>(t); }         \
  attribute void sums_##name(const NormTile &t) { sums<bytes>(t); }           \
  attribute void differentiate_##name(const NormTile &t) { differentiate<bytes>(t); } \
  constexpr NormKernels kernels_##name{moments_##name, apply_##name, sums_##name, differentiate_##name};

CT_VARIANTS(CT_VARIANT)

}  // namespace

const NormKernels &norm_kernels() { return CT_CHOSEN(kernels); }

}  // namespace coherent
