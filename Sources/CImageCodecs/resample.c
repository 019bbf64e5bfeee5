// SPDX-License-Identifier: Apache-2.0
//
// Antialiased bilinear resizing with Pillow's arithmetic: first across, then down, 8 bits in between, weights rounded to
// 22 fractional bits. Only what the crop keeps is computed, which changes no pixel of it.

#include <math.h>
#include <string.h>

#include "workspace.h"

// A loop compiled for each vector width; the widest that the processor has is chosen when the program is loaded.
#if defined(__x86_64__) && defined(__linux__)
#define IC_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define IC_CLONES
#endif

typedef uint8_t bytes16 __attribute__((vector_size(16), aligned(1)));
typedef int32_t words16 __attribute__((vector_size(64)));
typedef uint32_t pixels4 __attribute__((vector_size(16), aligned(1)));

enum { FRACTION = 22, HALF = 1 << (FRACTION - 1) };

// One direction: result i is the weighted sum of `count[i]` sources from `first[i]` on, weights at `i * width`.
typedef struct {
  int32_t number, width;
  int32_t *first, *count, *weight;
} taps;

// A source seen from the results: the number of weights that one may have.
static int32_t reach(int32_t source, int32_t scaled) {
  const double scale = (double)source / scaled;
  return (int32_t)ceil(scale < 1 ? 1 : scale) * 2 + 1;
}

static void weigh(taps *result, int32_t source, int32_t scaled, int32_t offset) {
  const double scale = (double)source / scaled;
  const double support = scale < 1 ? 1 : scale;
  const double inverse = 1 / support;
  for (int32_t i = 0; i < result->number; ++i) {
    const double center = (i + offset + 0.5) * scale;
    int32_t first = (int32_t)(center - support + 0.5), last = (int32_t)(center + support + 0.5);
    if (first < 0) first = 0;
    if (last > source) last = source;
    double sum = 0;
    for (int32_t j = first; j < last; ++j) {
      const double distance = fabs((j - center + 0.5) * inverse);
      sum += distance < 1 ? 1 - distance : 0;
    }
    for (int32_t j = first; j < last; ++j) {
      const double distance = fabs((j - center + 0.5) * inverse);
      const double share = (distance < 1 ? 1 - distance : 0) / sum;
      result->weight[i * result->width + j - first] = (int32_t)(share * (1 << FRACTION) + 0.5);
    }
    result->first[i] = first;
    result->count[i] = last - first;
  }
}

// Four rows woven so that the four pixels of a column lie side by side.
static void weave(uint8_t *woven, const uint8_t *row, size_t stride, int32_t rows, int32_t width) {
  const uint8_t *r[4];
  for (int k = 0; k < 4; ++k) r[k] = row + stride * (size_t)(k < rows ? k : rows - 1);
  int32_t x = 0;
  for (; x + 4 <= width; x += 4) {
    const pixels4 a = *(const pixels4 *)(r[0] + 4 * x), b = *(const pixels4 *)(r[1] + 4 * x);
    const pixels4 c = *(const pixels4 *)(r[2] + 4 * x), d = *(const pixels4 *)(r[3] + 4 * x);
    const pixels4 ab0 = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab1 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const pixels4 cd0 = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd1 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    pixels4 *to = (pixels4 *)(woven + 16 * (size_t)x);
    to[0] = __builtin_shufflevector(ab0, cd0, 0, 1, 4, 5);
    to[1] = __builtin_shufflevector(ab0, cd0, 2, 3, 6, 7);
    to[2] = __builtin_shufflevector(ab1, cd1, 0, 1, 4, 5);
    to[3] = __builtin_shufflevector(ab1, cd1, 2, 3, 6, 7);
  }
  for (; x < width; ++x) {
    for (int k = 0; k < 4; ++k) memcpy(woven + 16 * (size_t)x + 4 * k, r[k] + 4 * x, 4);
  }
}

// Weights are not negative and sum to 1, so that no result leaves 0 ... 255.
IC_CLONES static void across(uint8_t *const out[4], const uint8_t *woven, const taps *t, int32_t start) {
  for (int32_t i = 0; i < t->number; ++i) {
    const int32_t *weight = t->weight + (size_t)i * t->width;
    const uint8_t *from = woven + 16 * (size_t)(t->first[i] - start);
    words16 sum = {0};
    sum += HALF;
    for (int32_t j = 0; j < t->count[i]; ++j) {
      sum += __builtin_convertvector(*(const bytes16 *)(from + 16 * (size_t)j), words16) * weight[j];
    }
    const bytes16 pixel = __builtin_convertvector(sum >> FRACTION, bytes16);
    for (int k = 0; k < 4; ++k) memcpy(out[k] + 4 * (size_t)i, (const uint8_t *)&pixel + 4 * k, 4);
  }
}

IC_CLONES static void down(uint8_t *line, const uint8_t *rows, size_t stride, const int32_t *weight, int32_t count,
                           size_t length) {
  for (size_t x = 0; x < length; x += 16) {
    words16 sum = {0};
    sum += HALF;
    for (int32_t j = 0; j < count; ++j) {
      sum += __builtin_convertvector(*(const bytes16 *)(rows + (size_t)j * stride + x), words16) * weight[j];
    }
    *(bytes16 *)(line + x) = __builtin_convertvector(sum >> FRACTION, bytes16);
  }
}

IC_CLONES static void separate(uint8_t *plane, size_t distance, const uint8_t *line, size_t width) {
  for (size_t x = 0; x < width; ++x) {
    plane[x] = line[4 * x];
    plane[distance + x] = line[4 * x + 1];
    plane[2 * distance + x] = line[4 * x + 2];
  }
}

IC_CLONES static void separate_mirrored(uint8_t *plane, size_t distance, const uint8_t *line, size_t width) {
  for (size_t x = 0; x < width; ++x) {
    plane[width - 1 - x] = line[4 * x];
    plane[distance + width - 1 - x] = line[4 * x + 1];
    plane[2 * distance + width - 1 - x] = line[4 * x + 2];
  }
}

static bool makes_sense(const ic_workspace *workspace, ic_view v) {
  const int64_t right = (int64_t)v.source_left + v.source.width, bottom = (int64_t)v.source_top + v.source.height;
  return v.source_left >= 0 && v.source_top >= 0 && v.source.width > 0 && v.source.height > 0 &&
         right <= workspace->size.width && bottom <= workspace->size.height && v.left >= 0 && v.top >= 0 &&
         v.cropped.width > 0 && v.cropped.height > 0 && (int64_t)v.left + v.cropped.width <= v.scaled.width &&
         (int64_t)v.top + v.cropped.height <= v.scaled.height && v.scaled.width <= 1 << 20 &&
         v.scaled.height <= 1 << 20;
}

// Lays out both directions in one block.
static bool plan(ic_workspace *workspace, ic_view v, taps *horizontal, taps *vertical) {
  horizontal->number = v.cropped.width;
  horizontal->width = reach(v.source.width, v.scaled.width);
  vertical->number = v.cropped.height;
  vertical->width = reach(v.source.height, v.scaled.height);
  const size_t h = (size_t)horizontal->number, w = (size_t)vertical->number;
  const size_t words = h * (2 + (size_t)horizontal->width) + w * (2 + (size_t)vertical->width);
  int32_t *block = ic_reserve(&workspace->taps, words * sizeof(int32_t));
  if (block == NULL) return false;
  horizontal->first = block;
  horizontal->count = horizontal->first + h;
  vertical->first = horizontal->count + h;
  vertical->count = vertical->first + w;
  horizontal->weight = vertical->count + w;
  vertical->weight = horizontal->weight + h * (size_t)horizontal->width;
  weigh(horizontal, v.source.width, v.scaled.width, v.left);
  weigh(vertical, v.source.height, v.scaled.height, v.top);
  return true;
}

ic_status ic_resample(ic_workspace *workspace, ic_view v, uint8_t *planes) {
  if (!makes_sense(workspace, v)) return ic_failure(IC_INVALID, "the view lies outside the picture");
  taps horizontal, vertical;
  if (!plan(workspace, v, &horizontal, &vertical)) return ic_failure(IC_NO_MEMORY, "not enough memory to resize");
  const int32_t last = v.cropped.height - 1;
  const int32_t top = vertical.first[0], bottom = vertical.first[last] + vertical.count[last];
  const int32_t left = horizontal.first[0];
  const int32_t right = horizontal.first[v.cropped.width - 1] + horizontal.count[v.cropped.width - 1];
  // Rows padded to whole vectors, and one group of four more for those that the last group does not need.
  const size_t stride = ((size_t)v.cropped.width * 4 + 63) / 64 * 64;
  uint8_t *woven = ic_reserve(&workspace->columns, 16 * (size_t)(right - left));
  uint8_t *rows = ic_reserve(&workspace->rows, stride * (size_t)(bottom - top + 4));
  uint8_t *line = ic_reserve(&workspace->line, stride);
  if (woven == NULL || rows == NULL || line == NULL) return ic_failure(IC_NO_MEMORY, "not enough memory to resize");

  const size_t pitch = (size_t)workspace->size.width * 4;
  const uint8_t *origin =
      (const uint8_t *)workspace->pixels.start + (size_t)v.source_top * pitch + 4 * (size_t)(v.source_left + left);
  for (int32_t y = top; y < bottom; y += 4) {
    uint8_t *out[4];
    for (int k = 0; k < 4; ++k) out[k] = rows + stride * (size_t)(y - top + k);
    weave(woven, origin + pitch * (size_t)y, pitch, bottom - y < 4 ? bottom - y : 4, right - left);
    across(out, woven, &horizontal, left);
  }
  const size_t distance = (size_t)v.cropped.width * (size_t)v.cropped.height;
  for (int32_t y = 0; y < v.cropped.height; ++y) {
    down(line, rows + stride * (size_t)(vertical.first[y] - top), stride,
         vertical.weight + (size_t)y * vertical.width, vertical.count[y], (size_t)v.cropped.width * 4);
    uint8_t *plane = planes + (size_t)y * v.cropped.width;
    (v.mirrored ? separate_mirrored : separate)(plane, distance, line, (size_t)v.cropped.width);
  }
  return ic_success();
}
