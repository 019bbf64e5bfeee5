// SPDX-License-Identifier: Apache-2.0
//
// The (low + 1)-smallest and (high + 1)-largest of a few numbers, a vector of coordinates at a time: by min/max insertion
// for pairs, by sorting networks eight at a time, and bit by bit where many are clipped.
//
// A source gives entry n of `count` by load(n, v), besides `zeros` entries that are 0.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

#include "vectors.h"

namespace coherent {

struct Clip {
  int64_t low, high;  // how many are clipped at either end
  bool trims;         // leave them out rather than move them to the nearest one kept
  double scale;       // of the sum
};

template <typename V>
CT_INLINE void lesser(const V &a, const V &b, V &least) {
  least = a < b ? a : b;
}
template <typename V>
CT_INLINE void greater(const V &a, const V &b, V &largest) {
  largest = a > b ? a : b;
}

// Takes a pair of numbers into the K smallest (ascending): the new i-th smallest is the least of kept[i],
// max(kept[i − 1], the smaller of the pair) and max(kept[i − 2], the larger one). A NaN may enter; the sum is NaN then.
template <typename V, int K>
CT_INLINE void keep_smallest(V *kept, const V &smaller, const V &larger) {
#pragma clang loop unroll(full)
  for (int i = K - 1; i >= 0; --i) {
    V candidate;
    if (i >= 2) {
      greater(kept[i - 2], larger, candidate);
      lesser(kept[i], candidate, kept[i]);
    } else if (i == 1) {
      lesser(kept[1], larger, kept[1]);
    }
    if (i >= 1) {
      greater(kept[i - 1], smaller, candidate);
      lesser(kept[i], candidate, kept[i]);
    } else {
      lesser(kept[0], smaller, kept[0]);
    }
  }
}

// The same for the K largest (descending).
template <typename V, int K>
CT_INLINE void keep_largest(V *kept, const V &smaller, const V &larger) {
#pragma clang loop unroll(full)
  for (int i = K - 1; i >= 0; --i) {
    V candidate;
    if (i >= 2) {
      lesser(kept[i - 2], smaller, candidate);
      greater(kept[i], candidate, kept[i]);
    } else if (i == 1) {
      greater(kept[1], smaller, kept[1]);
    }
    if (i >= 1) {
      lesser(kept[i - 1], larger, candidate);
      greater(kept[i], candidate, kept[i]);
    } else {
      greater(kept[0], larger, kept[0]);
    }
  }
}

// Puts two numbers in order.
template <typename V>
CT_INLINE void order(V &smaller, V &larger) {
  const V a = smaller;
  lesser(a, larger, smaller);
  greater(a, larger, larger);
}

// Sorts n numbers that first fall and then rise, ascending; or that first rise and then fall, descending. A bitonic
// merge, which takes any n when it is cut into the largest power of two below n and the rest.
template <typename V, int n, bool is_descending>
CT_INLINE void merge(V *numbers) {
  if constexpr (n > 1) {
    constexpr int half = std::bit_floor(unsigned(n - 1));
#pragma clang loop unroll(full)
    for (int i = 0; i + half < n; ++i) {
      if constexpr (is_descending) {
        order(numbers[i + half], numbers[i]);
      } else {
        order(numbers[i], numbers[i + half]);
      }
    }
    merge<V, half, is_descending>(numbers);
    merge<V, n - half, is_descending>(numbers + half);
  }
}

// Eight numbers into ascending order.
template <typename V>
CT_INLINE void sort_eight(V *n) {
  // Written out: an index that the compiler does not know would put the numbers into memory.
  order(n[0], n[2]), order(n[1], n[3]), order(n[4], n[6]), order(n[5], n[7]);
  order(n[0], n[4]), order(n[1], n[5]), order(n[2], n[6]), order(n[3], n[7]);
  order(n[0], n[1]), order(n[2], n[3]), order(n[4], n[5]), order(n[6], n[7]);
  order(n[2], n[4]), order(n[3], n[5]), order(n[1], n[4]), order(n[3], n[6]);
  order(n[1], n[2]), order(n[3], n[4]), order(n[5], n[6]);
}

// Takes eight sorted numbers into the K smallest and the K largest. Of an ascending list and a descending one, the
// smaller numbers place by place are the smallest of both; they rise and then fall.
template <typename V, int K>
CT_INLINE void keep_eight(V *low, V *high, const V *eight) {
  V both[K];
#pragma clang loop unroll(full)
  for (int i = 0; i < K; ++i) {
    both[i] = low[i];
    if (K - 1 - i < 8) lesser(low[i], eight[K - 1 - i], both[i]);
  }
  merge<V, K, true>(both);
#pragma clang loop unroll(full)
  for (int i = 0; i < K; ++i) low[i] = both[K - 1 - i];
#pragma clang loop unroll(full)
  for (int i = 0; i < K; ++i) {
    both[i] = high[i];
    if (K - 1 - i < 8) greater(high[i], eight[8 - K + i], both[i]);
  }
  merge<V, K, false>(both);
#pragma clang loop unroll(full)
  for (int i = 0; i < K; ++i) high[i] = both[K - 1 - i];
}

// The lowest and the highest value kept.
template <typename V, int K, typename Source>
CT_INLINE void insert(const Source &source, const Clip &clip, V &lo, V &hi) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  V low[K], high[K];
#pragma clang loop unroll(full)
  for (int k = 0; k < K; ++k) {
    low[k] = V{} + (k < source.zeros ? 0.0f : infinity);
    high[k] = V{} + (k < source.zeros ? 0.0f : -infinity);
  }
  V a, b, smaller, larger;
  int64_t n = 0;
  if constexpr (K > 2) {
    for (; n + 7 < source.count; n += 8) {
      V eight[8];
#pragma clang loop unroll(full)
      for (int i = 0; i < 8; ++i) source.load(n + i, eight[i]);
      sort_eight(eight);
      keep_eight<V, K>(low, high, eight);
    }
  }
  for (; n + 1 < source.count; n += 2) {
    source.load(n, a);
    source.load(n + 1, b);
    lesser(a, b, smaller);
    greater(a, b, larger);
    keep_smallest<V, K>(low, smaller, larger);
    keep_largest<V, K>(high, smaller, larger);
  }
  if (n < source.count) {
    source.load(n, a);
    keep_smallest<V, K>(low, a, V{} + infinity);
    keep_largest<V, K>(high, V{} - infinity, a);
  }
  // Indices known to the compiler, or the lists would live in memory.
  lo = low[K - 1];
  hi = high[K - 1];
#pragma clang loop unroll(full)
  for (int k = 0; k < K - 1; ++k) {
    if (k == clip.low) lo = low[k];
    if (k == clip.high) hi = high[k];
  }
}

// The same for many: a search for the two values bit by bit, on keys that are ordered like the numbers.
template <typename V, typename Source>
CT_INLINE void search(const Source &source, const Clip &clip, V &lo, V &hi, uint32_t *keys) {
  typedef uint32_t U __attribute__((vector_size(sizeof(V))));
  typedef int32_t I __attribute__((vector_size(sizeof(V))));
  constexpr int lanes = sizeof(V) / 4;
  for (int64_t n = 0; n < source.count; ++n) {
    V v;
    source.load(n, v);
    v += 0.0f;  // −0 and 0 are one value
    const I bits = (I)v;
    const U key = (U)(bits ^ ((bits >> 31) & 0x7fffffff)) ^ 0x80000000u;
    store(keys + n * lanes, key);
  }
  const int64_t total = source.count + source.zeros;
  const U rank_lo = U{} + uint32_t(clip.low), rank_hi = U{} + uint32_t(total - 1 - clip.high);
  const U zero = U{} + 0x80000000u, zeros = U{} + uint32_t(source.zeros);
  U found_lo = {}, found_hi = {};
  for (int bit = 31; bit >= 0; --bit) {
    const U try_lo = found_lo | (1u << bit), try_hi = found_hi | (1u << bit);
    // A comparison gives −1 for true.
    U below_lo = zeros & (U)(zero < try_lo), below_hi = zeros & (U)(zero < try_hi);
    for (int64_t n = 0; n < source.count; ++n) {
      U key;
      fetch(keys + n * lanes, key);
      below_lo -= (U)(key < try_lo);
      below_hi -= (U)(key < try_hi);
    }
    found_lo = below_lo <= rank_lo ? try_lo : found_lo;
    found_hi = below_hi <= rank_hi ? try_hi : found_hi;
  }
  // Back from keys to numbers; a cast between vectors keeps the bits.
  const I lower = (I)(found_lo ^ 0x80000000u), upper = (I)(found_hi ^ 0x80000000u);
  lo = (V)(lower ^ ((lower >> 31) & 0x7fffffff));
  hi = (V)(upper ^ ((upper >> 31) & 0x7fffffff));
}

// The lowest and the highest value kept.
template <typename V, typename Source>
CT_INLINE void select(const Source &source, const Clip &clip, uint32_t *keys, V &lo, V &hi) {
  switch (std::max(clip.low, clip.high)) {
    case 1: insert<V, 2>(source, clip, lo, hi); break;
    case 2: insert<V, 3>(source, clip, lo, hi); break;
    case 3: case 4: insert<V, 5>(source, clip, lo, hi); break;
    case 5: case 6: insert<V, 7>(source, clip, lo, hi); break;
    case 7: case 8: insert<V, 9>(source, clip, lo, hi); break;
    case 9: case 10: case 11: case 12: insert<V, 13>(source, clip, lo, hi); break;
    case 13: case 14: case 15: case 16: insert<V, 17>(source, clip, lo, hi); break;
    default: search<V>(source, clip, lo, hi, keys);
  }
}

}  // namespace coherent
