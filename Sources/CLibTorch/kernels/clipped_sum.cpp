// SPDX-License-Identifier: Apache-2.0
//
// The clipped sum of a batch's per-example gradients, coordinate by coordinate: winsorized or trimmed. Nothing of size
// B×P is held. For a linear layer the entries δ·a are formed in registers, a vector of coordinates at a time: a first
// pass finds the lowest and the highest entry kept, a second one adds up the clipped entries.
//
// Most entries of a ReLU network are exactly 0. One factor is therefore kept as lists of its nonzero entries, a list
// for each of its columns; the zeros only count. Of the two factors, the one that leaves less to do becomes the lists.

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <vector>

#include "../cuda/kernels.h"
#include "clipped_rows.h"

namespace coherent {
namespace {

// Where the entries of a vector of coordinates come from: entry n of `count`, besides `zeros` entries that are 0.
struct Products {
  const float *scalars;
  const int32_t *examples;
  const float *block;
  int64_t count, zeros;
  template <typename V>
  CT_INLINE void load(int64_t n, V &v) const {
    fetch(block + examples[n] * int64_t(sizeof(V) / 4), v);
    v *= scalars[n];
  }
};

struct Rows {
  const float *first;
  int64_t stride, count;
  static constexpr int64_t zeros = 0;
  template <typename V>
  CT_INLINE void load(int64_t n, V &v) const {
    fetch(first + n * stride, v);
  }
};

template <typename V, typename Source>
CT_INLINE void add(const Source &source, const Clip &clip, const V &lo, const V &hi, V &sum) {
  const V none = {};
  const float zeros = source.zeros;
  if (!clip.trims) {
    sum = zeros == 0 ? none : zeros * (none < lo ? lo : none > hi ? hi : none);
    for (int64_t n = 0; n < source.count; ++n) {
      V v;
      source.load(n, v);
      v = v < lo ? lo : v;
      sum += v > hi ? hi : v;
    }
  } else {
    // What lies strictly between counts itself; of those at the ends, as many as are left once `low` and `high` are
    // taken away. Never a difference of sums, in which an infinity would cancel to NaN.
    V at_lo = (none <= lo ? none + zeros : none) - float(clip.low);
    V at_hi = (none >= hi ? none + zeros : none) - float(clip.high);
    sum = none;
    for (int64_t n = 0; n < source.count; ++n) {
      V v;
      source.load(n, v);
      at_lo += v <= lo ? none + 1.0f : none;
      at_hi += v >= hi ? none + 1.0f : none;
      sum += v <= lo ? none : v >= hi ? none : v;
    }
    const V kept = none + float(source.count + source.zeros - clip.low - clip.high);
    const V ends = at_lo * lo + at_hi * hi;
    // With one value at both ends all that is kept is that value.
    sum = lo == hi ? sum * none + kept * lo : sum + ends;
  }
  sum *= float(clip.scale);
}

template <typename V, typename Source>
CT_INLINE void clipped(const Source &source, const Clip &clip, uint32_t *keys, V &sum) {
  V lo, hi;
  select<V>(source, clip, keys, lo, hi);
  add<V>(source, clip, lo, hi, sum);
}

// The number of entries that are not 0, or −1 when one is not finite: 0 times that is NaN, so nothing may be skipped.
CT_CLONES int64_t nonzero(const float *factor, int64_t size) {
  int32_t count = 0;
  uint32_t largest = 0;
  for (int64_t i = 0; i < size; ++i) {
    const uint32_t magnitude = std::bit_cast<uint32_t>(factor[i]) & 0x7fffffffu;
    count += magnitude != 0;
    largest = std::max(largest, magnitude);
  }
  return largest < 0x7f800000u ? count : -1;
}

// One factor as lists of its nonzero entries, column by column: column x has counts[x] of them from place x·batch on.
struct Lists {
  at::Tensor value_memory, example_memory;
  std::vector<int64_t> counts;
  const float *values;
  const int32_t *examples;

  Lists(const float *factor, int64_t batch, int64_t width, bool keeps_zeros)
      : value_memory(at::empty({batch * width}, at::kFloat)), example_memory(at::empty({batch * width}, at::kInt)),
        counts(width, 0) {
    float *own_values = value_memory.data_ptr<float>();
    int32_t *own_examples = example_memory.data_ptr<int32_t>();
    constexpr int64_t share = 32;
    parallel_for_each((width + share - 1) / share, [&](int64_t task) {
      const int64_t first = task * share, last = std::min(width, first + share);
      for (int64_t b = 0; b < batch; ++b) {
        for (int64_t x = first; x < last; ++x) {
          // Written in any case, and kept by moving on.
          const float value = factor[b * width + x];
          const int64_t place = x * batch + counts[x];
          own_values[place] = value;
          own_examples[place] = int32_t(b);
          counts[x] += keeps_zeros || value != 0;
        }
      }
    });
    values = own_values;
    examples = own_examples;
  }
};

struct Outer {
  float *target;  // [out, in]
  const Lists *lists;
  const float *dense;  // [batch, width]
  int64_t batch, width, columns;  // of the dense factor; columns of the lists
  int64_t in;
  bool lists_are_outputs;
  Clip clip;
};

constexpr int64_t tile = 16;

// A block of lanes of the dense factor against some columns of the lists, a multiple of the tile apart from the last.
template <int bytes>
CT_INLINE void outer_block(const Outer &o, int64_t column, int64_t first, int64_t last, float *memory) {
  constexpr int64_t lanes = bytes / 4;
  typedef float V __attribute__((vector_size(bytes)));
  const int64_t width = std::min(lanes, o.width - column);
  float *block = memory;
  auto *keys = reinterpret_cast<uint32_t *>(memory + o.batch * lanes);
  for (int64_t b = 0; b < o.batch; ++b) {
    for (int64_t l = 0; l < lanes; ++l) block[b * lanes + l] = l < width ? o.dense[b * o.width + column + l] : 0;
  }
  float sums[tile * lanes];
  for (int64_t start = first; start < last; start += tile) {
    const int64_t count = std::min(tile, last - start);
    for (int64_t x = 0; x < count; ++x) {
      const int64_t from = (start + x) * o.batch, entries = o.lists->counts[start + x];
      const Products source{o.lists->values + from, o.lists->examples + from, block, entries, o.batch - entries};
      V sum;
      clipped<V>(source, o.clip, keys, sum);
      store(sums + x * lanes, sum);
    }
    if (o.lists_are_outputs) {
      for (int64_t x = 0; x < count; ++x) {
        std::memcpy(o.target + (start + x) * o.in + column, sums + x * lanes, width * sizeof(float));
      }
    } else {
      for (int64_t l = 0; l < width; ++l) {
        for (int64_t x = 0; x < count; ++x) o.target[(column + l) * o.in + start + x] = sums[x * lanes + l];
      }
    }
  }
}

// Columns of explicit rows, in vectors; the last ones by way of a padded copy.
template <int bytes>
CT_INLINE void rows_block(float *target, const float *rows, int64_t stride, int64_t batch, int64_t first, int64_t last,
                          const Clip &clip, float *memory) {
  constexpr int64_t lanes = bytes / 4;
  typedef float V __attribute__((vector_size(bytes)));
  auto *keys = reinterpret_cast<uint32_t *>(memory + batch * lanes);
  for (int64_t column = first; column < last; column += lanes) {
    const int64_t width = std::min(lanes, last - column);
    Rows source{rows + column, stride, batch};
    if (width < lanes) {
      for (int64_t b = 0; b < batch; ++b) {
        for (int64_t l = 0; l < lanes; ++l) memory[b * lanes + l] = l < width ? rows[b * stride + column + l] : 0;
      }
      source = Rows{memory, lanes, batch};
    }
    V sum;
    clipped<V>(source, clip, keys, sum);
    float sums[lanes];
    store(sums, sum);
    std::memcpy(target + column, sums, width * sizeof(float));
  }
}

struct Kernels {
  int64_t lanes;
  void (*outer)(const Outer &, int64_t column, int64_t first, int64_t last, float *memory);
  void (*rows)(float *, const float *, int64_t stride, int64_t batch, int64_t first, int64_t last, const Clip &,
               float *memory);
};

#define CT_VARIANT(name, bytes, attribute)                                                                      \
  attribute void outer_##name(const Outer &o, int64_t c, int64_t f, int64_t l, float *m) {                      \
    outer_block<bytes>(o, c, f, l, m);                                                                          \
  }                                                                                                             \
  attribute void rows_##name(float *t, const float *r, int64_t s, int64_t b, int64_t f, int64_t l, const Clip &c, \
                             float *m) {                                                                        \
    rows_block<bytes>(t, r, s, b, f, l, c, m);                                                                  \
  }                                                                                                             \
  constexpr Kernels kernels_##name{bytes / 4, outer_##name, rows_##name};

CT_VARIANTS(CT_VARIANT)

const Kernels &kernels() { return CT_CHOSEN(kernels); }

void clipped_outer(float *target, const float *delta, const float *input, int64_t batch, int64_t out, int64_t in,
                   const Clip &clip) {
  // No numbers, hence no blocks to divide the work by.
  if (out == 0 || in == 0) return;
  const Kernels &k = kernels();
  const int64_t in_delta = nonzero(delta, batch * out), in_input = nonzero(input, batch * in);
  const bool keeps_zeros = in_delta < 0 || in_input < 0;
  const auto blocks = [&](int64_t width) { return (width + k.lanes - 1) / k.lanes; };
  const bool lists_are_outputs =
      keeps_zeros ? out * blocks(in) <= in * blocks(out) : in_delta * blocks(in) <= in_input * blocks(out);
  const int64_t columns = lists_are_outputs ? out : in, width = lists_are_outputs ? in : out;
  const Lists lists(lists_are_outputs ? delta : input, batch, columns, keeps_zeros);
  const Outer o{target, &lists, lists_are_outputs ? input : delta, batch, width, columns, in, lists_are_outputs, clip};
  // Enough tasks for an even split, each of whole tiles.
  const int64_t tiles = (columns + tile - 1) / tile, spans = std::clamp<int64_t>(64 / blocks(width), 1, tiles);
  const int64_t span = (tiles + spans - 1) / spans * tile;
  parallel_for_each(blocks(width) * spans, [&](int64_t task) {
    const int64_t first = task % spans * span, last = std::min(columns, first + span);
    if (first < last) k.outer(o, task / spans * k.lanes, first, last, scratch(2 * batch * k.lanes));
  });
}

// The plain way, for other element types and devices.
at::Tensor clipped_sum(const at::Tensor &rows, const Clip &clip) {
  const int64_t batch = rows.size(0), kept = batch - clip.low - clip.high;
  const at::Tensor sorted = std::get<0>(rows.sort(0));
  const at::Tensor middle = sorted.narrow(0, clip.low, kept);
  at::Tensor sum = middle.sum(0);
  // No infinity times none.
  if (!clip.trims && clip.low > 0) sum = sum + middle[0] * clip.low;
  if (!clip.trims && clip.high > 0) sum = sum + middle[kept - 1] * clip.high;
  return at::where(rows.isnan().any(0), std::numeric_limits<double>::quiet_NaN(), sum) * clip.scale;
}

}  // namespace

void clipped_rows(float *target, const float *rows, int64_t batch, int64_t width, const Clip &clip) {
  const Kernels &k = kernels();
  const int64_t span = 4 * 16;
  parallel_for_each((width + span - 1) / span, [&](int64_t task) {
    k.rows(target, rows, width, batch, task * span, std::min(width, (task + 1) * span), clip,
           scratch(2 * batch * k.lanes));
  });
}

Clip checked(ct_clip c, int64_t batch) {
  int64_t clipped = 0;
  if (__builtin_add_overflow(c.low, c.high, &clipped)) clipped = std::numeric_limits<int64_t>::max();
  TORCH_CHECK_VALUE(c.low >= 0 && c.high >= 0 && clipped < batch, "clipping ", c.low, " low and ", c.high,
                    " high entries needs more than ", clipped, " examples, not ", batch);
  return {c.low, c.high, c.trims, c.scale};
}

}  // namespace coherent

ct_status *ct_clipped_row_sum(const ct_tensor *target, const ct_tensor *rows, ct_clip options) {
  using namespace coherent;
  return guarded([&] {
    const at::Tensor &t = target->value, &r = rows->value;
    TORCH_CHECK_VALUE(r.dim() == 2 && t.dim() == 1 && t.size(0) == r.size(1) && t.scalar_type() == r.scalar_type(),
                      "target ", t.sizes(), " does not fit rows ", r.sizes());
    const Clip clip = checked(options, r.size(0));
    at::NoGradGuard no_grad;
    if (cuda::clipped_rows(t, r, clip)) return;
    if (!is_plain(r) || !is_plain(t)) {
      at::Tensor(t).copy_(clipped_sum(r, clip));
    } else {
      clipped_rows(t.data_ptr<float>(), read<float>(r), r.size(0), r.size(1), clip);
    }
  });
}

ct_status *ct_clipped_outer_sum(const ct_tensor *target, const ct_tensor *bias, const ct_tensor *delta,
                                const ct_tensor *input, ct_clip options) {
  using namespace coherent;
  return guarded([&] {
    const at::Tensor &t = target->value, &d = delta->value, &x = input->value;
    TORCH_CHECK_VALUE(t.dim() == 2 && d.dim() == 2 && x.dim() == 2 && d.size(0) == x.size(0) &&
                          t.size(0) == d.size(1) && t.size(1) == x.size(1),
                      "target ", t.sizes(), " does not fit output gradient ", d.sizes(), " and input ", x.sizes());
    const Clip clip = checked(options, d.size(0));
    const int64_t batch = d.size(0), out = d.size(1), in = x.size(1);
    at::NoGradGuard no_grad;
    if (cuda::clipped_outer(t, d, x, clip)) {
      // Done, but for the bias.
    } else if (is_plain(t) && is_plain(d) && is_plain(x)) {
      clipped_outer(t.data_ptr<float>(), read<float>(d), read<float>(x), batch, out, in, clip);
    } else {
      // An output at a time: B×in numbers.
      for (int64_t o = 0; o < out; ++o) {
        at::Tensor(t)[o].copy_(clipped_sum(d.select(1, o).unsqueeze(1) * x, clip));
      }
    }
    if (bias == nullptr) return;
    const at::Tensor &b = bias->value;
    TORCH_CHECK_VALUE(b.dim() == 1 && b.size(0) == out, "bias ", b.sizes(), " does not fit output gradient ", d.sizes());
    if (cuda::clipped_rows(b, d, clip)) return;
    if (is_plain(b) && is_plain(d)) {
      clipped_rows(b.data_ptr<float>(), read<float>(d), batch, out, clip);
    } else {
      at::Tensor(b).copy_(clipped_sum(d, clip));
    }
  });
}
