// SPDX-License-Identifier: Apache-2.0
//
// A mini-batch out of a table of bytes: images stay as bytes in memory, a quarter of their float size.

#include "../support.h"

namespace {

CT_CLONES void widen(float *target, const uint8_t *source, int64_t count, float scale) {
  for (int64_t i = 0; i < count; ++i) target[i] = static_cast<float>(source[i]) * scale;
}

}  // namespace

ct_status *ct_gather_rows(ct_tensor **out, const uint8_t *source, int64_t rows, int64_t features,
                          const int64_t *indices, int64_t count, float scale) {
  return coherent::producing(out, [&] {
    TORCH_CHECK_VALUE(count >= 0 && features > 0 && (source != nullptr || rows == 0), "an empty table");
    for (int64_t i = 0; i < count; ++i) {
      TORCH_CHECK_INDEX(indices[i] >= 0 && indices[i] < rows, "example ", indices[i], " is outside the ", rows,
                        " of the data set");
    }
    auto result = at::empty({count, features}, at::kFloat);
    float *target = result.data_ptr<float>();
    for (int64_t i = 0; i < count; ++i) {
      widen(target + i * features, source + indices[i] * features, features, scale);
    }
    return result;
  });
}
