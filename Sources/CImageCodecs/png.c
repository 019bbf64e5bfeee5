// SPDX-License-Identifier: Apache-2.0
//
// PNG through libpng.

#include <setjmp.h>
#include <string.h>

#include <png.h>

#include "workspace.h"

typedef struct {
  const uint8_t *bytes;
  size_t count, position;
  ic_status status;
} source;

static void on_error(png_structp png, png_const_charp text) {
  source *from = png_get_error_ptr(png);
  if (from->status.kind == IC_OK) from->status = ic_failure(IC_DAMAGED, text);
  png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text) {
  (void)png;
  (void)text;
}

static void on_read(png_structp png, png_bytep target, size_t count) {
  source *from = png_get_io_ptr(png);
  if (count > from->count - from->position) {
    from->status = ic_failure(IC_TRUNCATED, "it is truncated: its data ends early");
    png_error(png, "truncated");
  }
  memcpy(target, from->bytes + from->position, count);
  from->position += count;
}

bool ic_is_png(const uint8_t *bytes, size_t count) { return count >= 8 && png_sig_cmp(bytes, 0, 8) == 0; }

// What stands beside the pixels is of no interest, but it could unpack to gigabytes, or be millions of pieces.
static bool has_too_many_chunks(const uint8_t *bytes, size_t count) {
  enum { MOST = 10000 };
  int others = 0;
  for (size_t place = 8; place + 12 <= count;) {
    const uint8_t *chunk = bytes + place;
    const size_t length = (size_t)chunk[0] << 24 | (size_t)chunk[1] << 16 | (size_t)chunk[2] << 8 | chunk[3];
    if (memcmp(chunk + 4, "IEND", 4) == 0) return false;
    if (memcmp(chunk + 4, "IDAT", 4) != 0 && ++others > MOST) return true;
    if (length > count - place - 12) return false;
    place += length + 12;
  }
  return false;
}

static void leave_out_texts(png_structp png) {
  static const png_byte names[] = "iCCP\0iTXt\0tEXt\0zTXt\0sPLT\0eXIf";
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, names, (int)(sizeof names / 5));
}

// Whatever it is, as four bytes a pixel. Alpha is left where it is and never looked at, which drops it.
static void ask_for_four_bytes(png_structp png, png_infop info) {
  const int type = png_get_color_type(png, info);
  png_set_strip_16(png);
  if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (type == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(png, info) < 8) png_set_expand_gray_1_2_4_to_8(png);
  if (type == PNG_COLOR_TYPE_GRAY || type == PNG_COLOR_TYPE_GRAY_ALPHA) png_set_gray_to_rgb(png);
  png_set_add_alpha(png, 0xFF, PNG_FILLER_AFTER);
}

static ic_status decode(png_structp png, png_infop info, ic_workspace *workspace, ic_size *size) {
  png_read_info(png, info);
  const uint64_t width = png_get_image_width(png, info), height = png_get_image_height(png, info);
  ic_status status = ic_prepare(workspace, width, height);
  if (status.kind != IC_OK) return status;
  size->width = (int32_t)width;
  size->height = (int32_t)height;
  if (workspace == NULL) return status;
  ask_for_four_bytes(png, info);
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, info);
  if (png_get_rowbytes(png, info) != width * 4) return ic_failure(IC_UNSUPPORTED, "it is a PNG of an unsupported kind");
  uint8_t *pixels = workspace->pixels.start;
  for (int pass = 0; pass < passes; ++pass) {
    for (uint64_t row = 0; row < height; ++row) png_read_row(png, pixels + row * width * 4, NULL);
  }
  return status;
}

ic_status ic_png(ic_workspace *workspace, const uint8_t *bytes, size_t count, ic_size *size) {
  source from = {bytes, count, 0, ic_success()};
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &from, on_error, on_warning);
  png_infop info = png == NULL ? NULL : png_create_info_struct(png);
  if (info == NULL) {
    png_destroy_read_struct(&png, NULL, NULL);
    return ic_failure(IC_NO_MEMORY, "not enough memory to read a PNG");
  }
  png_set_read_fn(png, &from, on_read);
  if (has_too_many_chunks(bytes, count)) {
    png_destroy_read_struct(&png, &info, NULL);
    return ic_failure(IC_TOO_LARGE, "it is a PNG of more than 10000 pieces beside its pixels");
  }
  leave_out_texts(png);
  if (setjmp(png_jmpbuf(png)) == 0) from.status = decode(png, info, workspace, size);
  png_destroy_read_struct(&png, &info, NULL);
  return from.status;
}
