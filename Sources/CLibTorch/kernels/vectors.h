// SPDX-License-Identifier: Apache-2.0
//
// Vectors of floats that the compiler lowers to whatever the processor has. They never travel by value: how wide ones
// do depends on the instruction set of caller and callee.
#pragma once

#include <cstring>

#include "../support.h"

namespace coherent {

// Vectors in memory lie anywhere.
template <typename V>
CT_INLINE void fetch(const void *from, V &v) {
  typedef V Loose __attribute__((aligned(4)));
  v = *static_cast<const Loose *>(from);
}
template <typename V>
CT_INLINE void store(void *to, const V &v) {
  typedef V Loose __attribute__((aligned(4)));
  *static_cast<Loose *>(to) = v;
}

}  // namespace coherent
