// SPDX-License-Identifier: Apache-2.0
//
// A mini-batch out of a table of bytes: images stay as bytes in memory, a quarter of their float size.

#include "../host_copy.h"
#include "../support.h"

namespace {

CT_CLONES void widen(float *target, const uint8_t *source, int64_t count, float scale, float offset) {
  // Two roundings everywhere: a fused multiply-add on some machines only would make the pixels depend on the machine.
#pragma clang fp contract(off)
  for (int64_t i = 0; i < count; ++i) target[i] = static_cast<float>(source[i]) * scale + offset;
}

}  // namespace

ct_status *ct_gather_rows(ct_tensor **out, const uint8_t *source, int64_t rows, int64_t features,
                          const int64_t *indices, int64_t count, const float *scales, const float *offsets,
                          int64_t channels, ct_device d) {
  return coherent::producing(out, [&] {
    TORCH_CHECK_VALUE(count >= 0 && features > 0 && (source != nullptr || rows == 0), "an empty table");
    int64_t numbers = 0;
    TORCH_CHECK_VALUE(!__builtin_mul_overflow(count, features, &numbers) && rows >= 0, count, " rows of ", features,
                      " values are too many to be counted");
    TORCH_CHECK_VALUE(channels > 0 && features % channels == 0, features, " values are not ", channels, " channels");
    for (int64_t i = 0; i < count; ++i) {
      TORCH_CHECK_INDEX(indices[i] >= 0 && indices[i] < rows, "example ", indices[i], " is outside the ", rows,
                        " of the data set");
    }
    const auto device = coherent::device(d);
    auto result = coherent::host_memory_for(device, {count, features}, at::kFloat);
    float *target = result.data_ptr<float>();
    const int64_t plane = features / channels;
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t c = 0; c < channels; ++c) {
        widen(target + i * features + c * plane, source + indices[i] * features + c * plane, plane, scales[c],
              offsets[c]);
      }
    }
    return coherent::copied_to(result, device);
  });
}
