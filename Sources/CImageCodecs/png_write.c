// SPDX-License-Identifier: Apache-2.0
//
// PNG into memory through libpng.

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

#include "workspace.h"

typedef struct {
  ic_block *block;
  size_t count;
  ic_status status;
} sink;

static void on_error(png_structp png, png_const_charp text) {
  sink *to = png_get_error_ptr(png);
  if (to->status.kind == IC_OK) to->status = ic_failure(IC_INVALID, text);
  png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text) {
  (void)png;
  (void)text;
}

// Grows the block by half, keeping what is in it.
static void on_write(png_structp png, png_bytep bytes, size_t count) {
  sink *to = png_get_io_ptr(png);
  if (count > to->block->size - to->count) {
    const size_t size = to->count + count + (to->count + count) / 2 + 4096;
    void *start = realloc(to->block->start, size);
    if (start == NULL) {
      to->status = ic_failure(IC_NO_MEMORY, "not enough memory to write a PNG");
      png_error(png, "memory");
    }
    to->block->start = start;
    to->block->size = size;
  }
  memcpy((uint8_t *)to->block->start + to->count, bytes, count);
  to->count += count;
}

static void on_flush(png_structp png) { (void)png; }

// What may jump: everything that must survive the jump lives with the caller.
static void encode(png_structp png, png_infop info, const uint8_t *pixels, int32_t channels, ic_size size) {
  png_set_IHDR(png, info, (png_uint_32)size.width, (png_uint_32)size.height, 8,
               channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  const size_t pitch = (size_t)size.width * (size_t)channels;
  for (int32_t row = 0; row < size.height; ++row) png_write_row(png, pixels + (size_t)row * pitch);
  png_write_end(png, NULL);
}

ic_status ic_encode_png(ic_workspace *workspace, const uint8_t *pixels, int32_t channels, ic_size size,
                        ic_bytes *bytes) {
  if (channels != 1 && channels != 3) {
    return ic_failure(IC_INVALID, "only pictures of one or three channels can be written");
  }
  if (size.width <= 0 || size.height <= 0 || (int64_t)size.width * size.height > IC_GREATEST_PIXELS) {
    return ic_failure(IC_INVALID, "only pictures of 1 to 134217728 pixels can be written");
  }
  sink to = {&workspace->encoded, 0, ic_success()};
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &to, on_error, on_warning);
  png_infop info = png == NULL ? NULL : png_create_info_struct(png);
  if (info == NULL) {
    png_destroy_write_struct(&png, NULL);
    return ic_failure(IC_NO_MEMORY, "not enough memory to write a PNG");
  }
  png_set_write_fn(png, &to, on_write, on_flush);
  if (setjmp(png_jmpbuf(png)) == 0) encode(png, info, pixels, channels, size);
  png_destroy_write_struct(&png, &info);
  bytes->start = workspace->encoded.start;
  bytes->count = to.count;
  return to.status;
}
