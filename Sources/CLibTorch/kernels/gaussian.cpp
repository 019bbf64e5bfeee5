// SPDX-License-Identifier: Apache-2.0
//
// Gaussian noise from a counter: on one kind of processor, number i of a stream depends on seed, stream and i alone, so that
// threads share the work and nothing has to be remembered between draws. Philox4x32-10 (Salmon et al., Parallel Random Numbers: As Easy as 1, 2,
// 3, 2011) gives four words for every counter, and the Box-Muller transform a normal number for each word.

#include <cmath>
#include <cstring>

#include "../support.h"

namespace coherent {
namespace {

// Counters at a time, each with four words and four numbers.
constexpr int64_t lanes = 64;
constexpr int64_t numbers_at_once = 4 * lanes;

struct Words {
  uint32_t a[lanes], b[lanes], c[lanes], d[lanes];
};

// The words of the counters (first + lane, stream).
CT_INLINE void philox(Words &w, uint64_t seed, uint64_t stream, uint64_t first) {
  for (int64_t i = 0; i < lanes; ++i) {
    const uint64_t counter = first + static_cast<uint64_t>(i);
    w.a[i] = static_cast<uint32_t>(counter);
    w.b[i] = static_cast<uint32_t>(counter >> 32);
    w.c[i] = static_cast<uint32_t>(stream);
    w.d[i] = static_cast<uint32_t>(stream >> 32);
  }
  uint32_t key0 = static_cast<uint32_t>(seed), key1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (int64_t i = 0; i < lanes; ++i) {
      const uint64_t p = uint64_t{0xD2511F53} * w.a[i], q = uint64_t{0xCD9E8D57} * w.c[i];
      w.a[i] = static_cast<uint32_t>(q >> 32) ^ w.b[i] ^ key0;
      w.b[i] = static_cast<uint32_t>(q);
      w.c[i] = static_cast<uint32_t>(p >> 32) ^ w.d[i] ^ key1;
      w.d[i] = static_cast<uint32_t>(p);
    }
    key0 += 0x9E3779B9;
    key1 += 0xBB67AE85;
  }
}

// -ln u of the number u in (0, 1] that a word stands for: 31 bits where u is small, so that numbers reach 6.6 standard
// deviations, and a float's 24 next to 1.
CT_INLINE float minus_log(uint32_t word) {
  const float u = static_cast<float>(static_cast<int32_t>(word >> 1)) * 0x1p-31f + 0x1p-32f;
  uint32_t bits;
  std::memcpy(&bits, &u, sizeof bits);
  int32_t exponent = static_cast<int32_t>(bits >> 23) - 126;
  bits = (bits & 0x007fffffu) | 0x3f000000u;
  float m;
  std::memcpy(&m, &bits, sizeof m);
  const bool is_low = m < 0.70710678f;
  exponent -= is_low ? 1 : 0;
  m = (is_low ? m + m : m) - 1;
  const float z = m * m;
  // The coefficients of Cephes' logf.
  float y = 7.0376836292e-2f;
  y = y * m - 1.1514610310e-1f;
  y = y * m + 1.1676998740e-1f;
  y = y * m - 1.2420140846e-1f;
  y = y * m + 1.4249322787e-1f;
  y = y * m - 1.6668057665e-1f;
  y = y * m + 2.0000714765e-1f;
  y = y * m - 2.4999993993e-1f;
  y = y * m + 3.3333331174e-1f;
  y = y * m * z;
  const float e = static_cast<float>(exponent);
  y += e * -2.12194440e-4f;
  y -= 0.5f * z;
  return -(m + y + e * 0.693359375f);
}

// cos and sin of the share of a turn that a word stands for.
CT_INLINE void turn(uint32_t word, float &cosine, float &sine) {
  const float quarters = static_cast<float>(static_cast<int32_t>(word)) * 0x1p-30f;
  const int32_t q = static_cast<int32_t>(quarters + (quarters < 0 ? -0.5f : 0.5f));
  const float x = (quarters - static_cast<float>(q)) * 1.57079632679f, z = x * x;
  // The coefficients of Cephes' sinf and cosf, for |x| up to a quarter of pi.
  const float s = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * x + x;
  const float c = ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z - 0.5f * z + 1;
  const bool swaps = (q & 1) != 0;
  const float a = swaps ? s : c, b = swaps ? c : s;
  cosine = ((q + 1) & 2) != 0 ? -a : a;
  sine = (q & 2) != 0 ? -b : b;
}

// The numbers that belong to `lanes` counters.
CT_INLINE void normals(float *__restrict out, const Words &w) {
  float x[4][lanes];
  for (int64_t i = 0; i < lanes; ++i) {
    // std::sqrt would have to set errno, and keep the loop from being a vector operation: four times as long.
    const float r = __builtin_elementwise_sqrt(2 * minus_log(w.a[i]));
    const float t = __builtin_elementwise_sqrt(2 * minus_log(w.c[i]));
    float c, s;
    turn(w.b[i], c, s);
    x[0][i] = r * c;
    x[1][i] = r * s;
    turn(w.d[i], c, s);
    x[2][i] = t * c;
    x[3][i] = t * s;
  }
  for (int64_t i = 0; i < lanes; ++i) {
    for (int k = 0; k < 4; ++k) out[4 * i + k] = x[k][i];
  }
}

// Adds the numbers from place `start` on, a multiple of `numbers_at_once`.
template <typename scalar>
CT_INLINE void add(scalar *target, int64_t start, int64_t count, scalar deviation, uint64_t seed, uint64_t stream) {
  Words words;
  float drawn[numbers_at_once];
  for (int64_t done = 0; done < count; done += numbers_at_once) {
    philox(words, seed, stream, static_cast<uint64_t>((start + done) / 4));
    normals(drawn, words);
    const int64_t length = std::min(numbers_at_once, count - done);
    for (int64_t i = 0; i < length; ++i) target[done + i] += deviation * drawn[i];
  }
}

CT_CLONES void add_span(float *t, int64_t start, int64_t n, double deviation, uint64_t seed, uint64_t stream) {
  add<float>(t, start, n, static_cast<float>(deviation), seed, stream);
}
CT_CLONES void add_span(double *t, int64_t start, int64_t n, double deviation, uint64_t seed, uint64_t stream) {
  add<double>(t, start, n, deviation, seed, stream);
}

void add_to(const at::Tensor &target, double deviation, uint64_t seed, uint64_t stream) {
  for_each_span(target.numel(), [&](int64_t start, int64_t count) {
    with_scalar(target, [&](auto number) {
      using scalar = decltype(number);
      add_span(target.data_ptr<scalar>() + start, start, count, deviation, seed, stream);
      return true;
    });
  });
}

}  // namespace
}  // namespace coherent

ct_status *ct_add_gaussian(const ct_tensor *target, double deviation, uint64_t seed, uint64_t stream) {
  using namespace coherent;
  return guarded([&] {
    at::Tensor t = target->value;
    TORCH_CHECK_VALUE(t.is_contiguous(), "noise is added to a contiguous tensor");
    at::NoGradGuard no_grad;
    if (is_real_on_cpu(t)) {
      add_to(t, deviation, seed, stream);
      t.unsafeGetTensorImpl()->bump_version();
    } else {
      const at::Tensor noise = at::zeros(t.sizes(), at::kFloat);
      add_to(noise, deviation, seed, stream);
      t.add_(noise.to(t.options()));
    }
  });
}

ct_status *ct_philox(uint32_t *words, uint64_t seed, uint64_t stream, uint64_t counter) {
  using namespace coherent;
  return guarded([&] {
    Words w;
    philox(w, seed, stream, counter);
    const uint32_t own[4] = {w.a[0], w.b[0], w.c[0], w.d[0]};
    std::memcpy(words, own, sizeof own);
  });
}
