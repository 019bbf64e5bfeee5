// SPDX-License-Identifier: Apache-2.0
//
// Pictures from bytes: JPEG and PNG decoded to RGB, resized, cropped; and pictures to PNG. Pure C99; errors by value.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __clang__
#pragma clang assume_nonnull begin
#define IC_NULLABLE _Nullable
#else
#define IC_NULLABLE
#endif

typedef enum {
  IC_OK = 0,
  IC_UNKNOWN_FORMAT,  // neither JPEG nor PNG
  IC_UNSUPPORTED,     // a picture, but of a kind that is refused, such as an unknown kind of PNG
  IC_TRUNCATED,       // the file breaks off
  IC_DAMAGED,         // the decoder gave up
  IC_TOO_LARGE,       // more than IC_GREATEST_PIXELS, or more scans or pieces than can be read
  IC_NO_MEMORY,
  IC_INVALID,  // arguments that make no sense
} ic_kind;

// The outcome of a call. The message is a clause without a full stop; empty on success.
typedef struct {
  ic_kind kind;
  char message[200];
} ic_status;

typedef struct {
  int32_t width, height;
} ic_size;

typedef struct {
  const uint8_t *IC_NULLABLE start;
  size_t count;
} ic_bytes;

// Width times height beyond which a picture is refused: half a gigabyte of pixels.
#define IC_GREATEST_PIXELS 134217728

// What is made of a decoded picture: `source` of it is resized to `scaled` (antialiased, bilinear), of which the
// `cropped` part at (left, top) is kept, and mirrored left to right if wished.
typedef struct {
  int32_t source_left, source_top;
  ic_size source;
  ic_size scaled;
  int32_t left, top;
  ic_size cropped;
  bool mirrored;
} ic_view;

// The memory that decoding and resizing need, kept from picture to picture; for one thread at a time.
typedef struct ic_workspace ic_workspace;

// NULL when there is no memory.
ic_workspace *IC_NULLABLE ic_workspace_create(void);
void ic_workspace_free(ic_workspace *IC_NULLABLE workspace);

// The size that a header announces, and whether the picture is of a kind that can be read. A file cut off after its
// header passes.
ic_status ic_read_size(const uint8_t *bytes, size_t count, ic_size *size);

// Decodes into the workspace. Grey becomes RGB; palettes are looked up; alpha is dropped; of 16 bits the upper 8 are
// kept (Pillow clips 16-bit grey in place of scaling it); the EXIF orientation is not applied. A JPEG whose data ends
// early is truncated; other damage that libjpeg can repair is passed over, as Pillow does. CMYK and YCCK become RGB as
// Pillow converts them, without their ink profile. A JPEG of very many scans and a PNG of very many pieces are refused.
ic_status ic_decode(ic_workspace *workspace, const uint8_t *bytes, size_t count, ic_size *size);

// Takes a picture that is decoded already: planes of grey (1) or of red, green and blue (3 channels), each height x width.
ic_status ic_take(ic_workspace *workspace, const uint8_t *planes, int32_t channels, ic_size size);

// Writes a view of the decoded picture as planes of red, green and blue, 3 x cropped.height x cropped.width bytes.
ic_status ic_resample(ic_workspace *workspace, ic_view view, uint8_t *planes);

// Writes a picture as a PNG of 8 bits: grey (1) or red, green and blue (3 channels), pixel after pixel, row after row. The
// bytes lie in the workspace until the next call with it.
ic_status ic_encode_png(ic_workspace *workspace, const uint8_t *pixels, int32_t channels, ic_size size,
                        ic_bytes *bytes);

#ifdef __clang__
#pragma clang assume_nonnull end
#endif

#ifdef __cplusplus
}
#endif
