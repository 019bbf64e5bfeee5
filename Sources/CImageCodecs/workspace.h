// SPDX-License-Identifier: Apache-2.0
//
// What the files of this room share.
#pragma once

#include "CImageCodecs.h"

// A block of memory that only grows.
typedef struct {
  void *start;
  size_t size;
} ic_block;

struct ic_workspace {
  ic_size size;      // of the decoded picture
  ic_block pixels;   // red, green, blue, unused; row after row
  ic_block columns;  // four rows woven into one
  ic_block rows;     // resized across
  ic_block taps;     // weights of a resize
  ic_block line;     // one row of the result
  ic_block encoded;  // a PNG
};

// The block with room for `size` bytes, its old contents lost when it had to grow; NULL when there is no memory.
void *ic_reserve(ic_block *block, size_t size);

ic_status ic_success(void);
ic_status ic_failure(ic_kind kind, const char *message);

bool ic_is_jpeg(const uint8_t *bytes, size_t count);
bool ic_is_png(const uint8_t *bytes, size_t count);

// With a workspace the picture is decoded into it; without, only the header is read.
ic_status ic_jpeg(ic_workspace *workspace, const uint8_t *bytes, size_t count,
                  ic_size *size);
ic_status ic_png(ic_workspace *workspace, const uint8_t *bytes, size_t count,
                 ic_size *size);

// Makes room for the pixels of a picture, and refuses one that is too large.
ic_status ic_prepare(ic_workspace *workspace, uint64_t width, uint64_t height);
