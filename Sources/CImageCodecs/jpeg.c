// SPDX-License-Identifier: Apache-2.0
//
// JPEG through libjpeg-turbo, with the settings that Pillow uses: the accurate integer DCT and smooth upsampling.

#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

#include <jerror.h>

#include "workspace.h"

#ifndef JCS_EXTENSIONS
#error "libjpeg-turbo is needed (Debian: libjpeg-dev, Homebrew: jpeg-turbo); this is another libjpeg."
#endif

typedef struct {
  struct jpeg_error_mgr base;  // first, so that a pointer to it is a pointer to this
  struct jpeg_progress_mgr progress;
  jmp_buf exit;
  ic_status status;
} error_manager;

static void leave(j_common_ptr info, ic_kind kind) {
  error_manager *manager = (error_manager *)info->err;
  char text[JMSG_LENGTH_MAX];
  manager->base.format_message(info, text);
  manager->status = ic_failure(kind, text);
  longjmp(manager->exit, 1);
}

static void on_error(j_common_ptr info) {
  if (info->err->msg_code == JERR_INPUT_EMPTY || info->err->msg_code == JERR_INPUT_EOF) leave(info, IC_TRUNCATED);
  if (info->err->msg_code == JERR_OUT_OF_MEMORY) leave(info, IC_NO_MEMORY);
  leave(info, IC_DAMAGED);
}

// Warnings have negative levels. Where the data ends early libjpeg would invent grey.
static void on_message(j_common_ptr info, int level) {
  if (level < 0 && info->err->msg_code == JWRN_JPEG_EOF) leave(info, IC_TRUNCATED);
}

static void on_output(j_common_ptr info) { (void)info; }

// A progressive picture may have as many scans as the file has room for, and each costs a pass over all pixels: a few are
// fine whatever the size, and more of a small picture.
enum { FEW_SCANS = 16, MOST_SCANS = 100 };

static void on_progress(j_common_ptr info) {
  const j_decompress_ptr picture = (j_decompress_ptr)info;
  const int64_t scans = picture->input_scan_number;
  const int64_t pixels = (int64_t)picture->image_width * picture->image_height;
  if (scans <= FEW_SCANS || (scans <= MOST_SCANS && scans * pixels <= IC_GREATEST_PIXELS)) return;
  error_manager *manager = (error_manager *)info->err;
  manager->status = ic_failure(IC_TOO_LARGE, "it is a JPEG of more scans than can be read (100, or 16 of a large one)");
  longjmp(manager->exit, 1);
}

bool ic_is_jpeg(const uint8_t *bytes, size_t count) {
  return count >= 3 && bytes[0] == 0xFF && bytes[1] == 0xD8 && bytes[2] == 0xFF;
}

// Rows of four inks, stored inverted as Adobe's programs do, to red, green, blue and a byte of no meaning: as Pillow
// converts them, with products of two shares of 255 rounded.
static void print_rows(uint8_t *pixels, size_t count) {
  for (uint8_t *pixel = pixels; pixel < pixels + 4 * count; pixel += 4) {
    const unsigned paper = pixel[3];
    for (int ink = 0; ink < 3; ++ink) {
      const unsigned product = (255u - pixel[ink]) * paper + 128;
      pixel[ink] = (uint8_t)(paper - ((product + (product >> 8)) >> 8));
    }
  }
}

// What may jump: everything that must survive the jump lives with the caller.
static ic_status decode(struct jpeg_decompress_struct *info, ic_workspace *workspace, const uint8_t *bytes,
                        size_t count, ic_size *size) {
  jpeg_create_decompress(info);
  info->progress = &((error_manager *)info->err)->progress;
  jpeg_mem_src(info, bytes, (unsigned long)count);
  jpeg_read_header(info, TRUE);
  ic_status status = ic_prepare(workspace, info->image_width, info->image_height);
  if (status.kind != IC_OK) return status;
  size->width = (int32_t)info->image_width;
  size->height = (int32_t)info->image_height;
  if (workspace == NULL) return status;
  const bool is_printed = info->jpeg_color_space == JCS_CMYK || info->jpeg_color_space == JCS_YCCK;
  info->out_color_space = is_printed ? JCS_CMYK : JCS_EXT_RGBX;
  info->dct_method = JDCT_ISLOW;
  info->do_fancy_upsampling = TRUE;
  jpeg_start_decompress(info);
  uint8_t *pixels = workspace->pixels.start;
  while (info->output_scanline < info->output_height) {
    JSAMPROW rows[8];
    int number = 0;
    for (; number < 8 && info->output_scanline + number < info->output_height; ++number) {
      rows[number] = pixels + (size_t)(info->output_scanline + number) * info->image_width * 4;
    }
    const JDIMENSION read = jpeg_read_scanlines(info, rows, (JDIMENSION)number);
    if (is_printed) print_rows(rows[0], (size_t)read * info->image_width);
  }
  return status;
}

ic_status ic_jpeg(ic_workspace *workspace, const uint8_t *bytes, size_t count, ic_size *size) {
  struct jpeg_decompress_struct info = {0};
  error_manager manager;
  info.err = jpeg_std_error(&manager.base);
  manager.base.error_exit = on_error;
  manager.base.emit_message = on_message;
  manager.base.output_message = on_output;
  manager.progress.progress_monitor = on_progress;
  if (setjmp(manager.exit) == 0) manager.status = decode(&info, workspace, bytes, count, size);
  // The rest of the file, if any, is of no interest: no finish, which would ask for an end marker.
  jpeg_destroy_decompress(&info);
  if (manager.status.kind == IC_TRUNCATED) return ic_failure(IC_TRUNCATED, "it is truncated: its data ends early");
  return manager.status;
}
