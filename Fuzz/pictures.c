// SPDX-License-Identifier: Apache-2.0
//
// JPEG and PNG: the size that a header announces, decoding, views of the picture (sensible ones, and any numbers), and the
// way back to PNG. The last 16 bytes of an input choose the views.

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "CImageCodecs.h"

enum { CHOICES = 16 };

// Pictures of megapixels take their time by right: most inputs are spent on small ones, one in eight on any.
static int64_t most_pixels(const uint8_t *choice) { return choice[15] >> 5 ? 1 << 13 : 1 << 20; }

static void view(ic_workspace *workspace, ic_size size, const uint8_t *choice) {
  ic_view view = {0};
  view.source_left = choice[0] % size.width;
  view.source_top = choice[1] % size.height;
  view.source.width = 1 + (choice[2] * 257) % (size.width - view.source_left);
  view.source.height = 1 + (choice[3] * 257) % (size.height - view.source_top);
  view.scaled.width = 1 + choice[4] * (choice[5] % 4 == 0 ? 5 : 1);
  view.scaled.height = 1 + choice[6] * (choice[5] % 5 == 0 ? 5 : 1);
  view.cropped.width = 1 + choice[7] % view.scaled.width;
  view.cropped.height = 1 + choice[8] % view.scaled.height;
  view.left = choice[9] % (view.scaled.width - view.cropped.width + 1);
  view.top = choice[10] % (view.scaled.height - view.cropped.height + 1);
  view.mirrored = choice[11] & 1;
  // One number spoilt: refused, or still inside.
  static const int32_t edges[] = {0, -1, INT32_MAX, INT32_MIN, 1 << 20, (1 << 20) + 1, 65536, 1};
  if (choice[12] & 1) ((int32_t *)&view)[choice[13] % 10] = edges[choice[14] % 8];
  if (view.cropped.width <= 0 || view.cropped.height <= 0) {
    uint8_t nothing[1];
    if (ic_resample(workspace, view, nothing).kind == IC_OK) abort();
    return;
  }
  const int64_t pixels = (int64_t)view.cropped.width * view.cropped.height;
  if (pixels > most_pixels(choice)) return;
  uint8_t *planes = malloc(3 * (size_t)pixels);
  if (planes == NULL) return;
  if (ic_resample(workspace, view, planes).kind == IC_OK) {
    // From planes to a picture and back: the codec reads what it wrote.
    ic_bytes written;
    ic_size other = {0, 0};
    if (ic_encode_png(workspace, planes, choice[15] & 1 ? 3 : 1, view.cropped, &written).kind == IC_OK) {
      uint8_t *copy = malloc(written.count);
      if (copy != NULL) {
        memcpy(copy, written.start, written.count);
        if (ic_decode(workspace, copy, written.count, &other).kind != IC_OK) abort();
        if (other.width != view.cropped.width || other.height != view.cropped.height) abort();
        free(copy);
      }
    }
    if (ic_take(workspace, planes, 3, view.cropped).kind != IC_OK) abort();
  }
  free(planes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
  uint8_t choice[CHOICES] = {0};
  if (count > CHOICES) memcpy(choice, bytes + count - CHOICES, CHOICES);
  ic_size announced = {0, 0}, size = {0, 0};
  const ic_status head = ic_read_size(bytes, count, &announced);
  if (head.kind == IC_OK && (int64_t)announced.width * announced.height > most_pixels(choice)) return 0;
  ic_workspace *workspace = ic_workspace_create();
  if (workspace == NULL) return 0;
  const ic_status status = ic_decode(workspace, bytes, count, &size);
  if (status.kind == IC_OK) {
    if (size.width != announced.width || size.height != announced.height) abort();
    view(workspace, size, choice);
  } else if (status.message[0] == 0 || strlen(status.message) >= sizeof status.message) {
    abort();
  }
  ic_workspace_free(workspace);
  return 0;
}

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t count, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t most, unsigned seed);

// Puts the checksums of a PNG right most of the time: libpng turns away what is behind a wrong one.
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t most, unsigned seed) {
  count = LLVMFuzzerMutate(bytes, count, most);
  if (seed % 5 == 0 || count < 8 || memcmp(bytes, "\x89PNG", 4) != 0) return count;
  for (size_t place = 8; place + 12 <= count;) {
    uint8_t *chunk = bytes + place;
    const size_t length = (size_t)chunk[0] << 24 | (size_t)chunk[1] << 16 | (size_t)chunk[2] << 8 | chunk[3];
    if (length > count - place - 12) break;
    const uint32_t sum = (uint32_t)crc32(0, chunk + 4, (uInt)length + 4);
    for (int k = 0; k < 4; ++k) chunk[8 + length + k] = (uint8_t)(sum >> (24 - 8 * k));
    place += length + 12;
  }
  return count;
}
