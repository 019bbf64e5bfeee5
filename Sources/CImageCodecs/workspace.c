// SPDX-License-Identifier: Apache-2.0
//
// The memory of a thread that decodes, and which decoder a picture is for.

#include "workspace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ic_workspace *ic_workspace_create(void) { return calloc(1, sizeof(ic_workspace)); }

void ic_workspace_free(ic_workspace *workspace) {
  if (workspace == NULL) return;
  free(workspace->pixels.start);
  free(workspace->columns.start);
  free(workspace->rows.start);
  free(workspace->taps.start);
  free(workspace->line.start);
  free(workspace->encoded.start);
  free(workspace);
}

void *ic_reserve(ic_block *block, size_t size) {
  if (size > block->size) {
    free(block->start);
    block->start = malloc(size);
    block->size = block->start == NULL ? 0 : size;
  }
  return block->start;
}

ic_status ic_success(void) {
  ic_status status = {IC_OK, ""};
  return status;
}

ic_status ic_failure(ic_kind kind, const char *message) {
  ic_status status = {kind, ""};
  snprintf(status.message, sizeof status.message, "%s", message);
  return status;
}

ic_status ic_prepare(ic_workspace *workspace, uint64_t width, uint64_t height) {
  if (width == 0 || height == 0) return ic_failure(IC_DAMAGED, "its header declares no pixels");
  if (width > INT32_MAX || height > INT32_MAX || width * height > IC_GREATEST_PIXELS) {
    ic_status status = ic_failure(IC_TOO_LARGE, "");
    snprintf(status.message, sizeof status.message, "its header declares %llu x %llu pixels, more than can be read",
             (unsigned long long)width, (unsigned long long)height);
    return status;
  }
  if (workspace == NULL) return ic_success();
  if (ic_reserve(&workspace->pixels, (size_t)(width * height) * 4) == NULL) {
    return ic_failure(IC_NO_MEMORY, "not enough memory for its pixels");
  }
  workspace->size.width = (int32_t)width;
  workspace->size.height = (int32_t)height;
  return ic_success();
}

// What other pictures begin with, so that the message can name them.
static const char *other_format(const uint8_t *bytes, size_t count) {
  if (count == 0) return "it is empty";
  if (count >= 4 && memcmp(bytes, "GIF8", 4) == 0) return "it is a GIF";
  if (count >= 2 && memcmp(bytes, "BM", 2) == 0) return "it is a BMP";
  if (count >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0) return "it is a WebP";
  if (count >= 4 && (memcmp(bytes, "II*\0", 4) == 0 || memcmp(bytes, "MM\0*", 4) == 0)) return "it is a TIFF";
  if (count >= 12 && memcmp(bytes + 4, "ftyp", 4) == 0) return "it is a HEIF, AVIF or video";
  return "it is not a picture";
}

static ic_status read(ic_workspace *workspace, const uint8_t *bytes, size_t count, ic_size *size) {
  if (ic_is_jpeg(bytes, count)) return ic_jpeg(workspace, bytes, count, size);
  if (ic_is_png(bytes, count)) return ic_png(workspace, bytes, count, size);
  ic_status status = ic_failure(IC_UNKNOWN_FORMAT, "");
  snprintf(status.message, sizeof status.message, "%s, neither JPEG nor PNG", other_format(bytes, count));
  return status;
}

ic_status ic_read_size(const uint8_t *bytes, size_t count, ic_size *size) { return read(NULL, bytes, count, size); }

ic_status ic_decode(ic_workspace *workspace, const uint8_t *bytes, size_t count, ic_size *size) {
  workspace->size.width = workspace->size.height = 0;
  ic_status status = read(workspace, bytes, count, size);
  if (status.kind != IC_OK) workspace->size.width = workspace->size.height = 0;
  return status;
}

ic_status ic_take(ic_workspace *workspace, const uint8_t *planes, int32_t channels, ic_size size) {
  workspace->size.width = workspace->size.height = 0;
  if (size.width <= 0 || size.height <= 0 || (channels != 1 && channels != 3)) {
    return ic_failure(IC_INVALID, "only pictures of one or three channels can be resized");
  }
  ic_status status = ic_prepare(workspace, (uint64_t)size.width, (uint64_t)size.height);
  if (status.kind != IC_OK) return status;
  const size_t count = (size_t)size.width * (size_t)size.height;
  const size_t step = channels == 3 ? count : 0;
  uint8_t *pixels = workspace->pixels.start;
  for (size_t i = 0; i < count; i++) {
    for (size_t c = 0; c < 3; c++) pixels[4 * i + c] = planes[c * step + i];
    pixels[4 * i + 3] = 255;
  }
  return ic_success();
}
