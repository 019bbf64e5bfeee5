// SPDX-License-Identifier: Apache-2.0
//
// Errors, opaque types and enumerations shared by every other header.
#ifndef CT_BASE_H
#define CT_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define CT_BEGIN extern "C" {
#define CT_END }
#else
#define CT_BEGIN
#define CT_END
#endif

#if defined(__clang__)
#define CT_NONNULL _Nonnull
#define CT_NULLABLE _Nullable
#else
#define CT_NONNULL
#define CT_NULLABLE
#endif

CT_BEGIN

typedef struct ct_status ct_status;
typedef struct ct_tensor ct_tensor;
typedef struct ct_generator ct_generator;
typedef struct ct_gradient_sink ct_gradient_sink;
typedef struct ct_factor_slot ct_factor_slot;
typedef struct ct_host_copy ct_host_copy;

// A call's verdict: NULL is success.
#define CT_CALL __attribute__((warn_unused_result)) ct_status *CT_NULLABLE

// Shorthands for the pointer shapes that occur everywhere.
#define CT_IN const ct_tensor *CT_NONNULL
#define CT_OPTIONAL const ct_tensor *CT_NULLABLE
#define CT_OUT ct_tensor *CT_NULLABLE *CT_NONNULL

typedef enum ct_error_kind {
  CT_ERROR_INVALID = 1,
  CT_ERROR_INDEX,
  CT_ERROR_TYPE,
  CT_ERROR_NOT_IMPLEMENTED,
  CT_ERROR_OUT_OF_MEMORY,
  CT_ERROR_NUMERICAL,
  CT_ERROR_INTERNAL
} ct_error_kind;

typedef enum ct_dtype {
  CT_FLOAT32 = 0,
  CT_FLOAT64,
  CT_FLOAT16,
  CT_BFLOAT16,
  CT_INT64,
  CT_INT32,
  CT_UINT8,
  CT_BOOL
} ct_dtype;

typedef enum ct_device_kind { CT_CPU = 0, CT_CUDA } ct_device_kind;

typedef struct ct_device {
  ct_device_kind kind;
  int32_t index;
} ct_device;

ct_error_kind ct_status_kind(const ct_status *CT_NONNULL status);
const char *CT_NONNULL ct_status_message(const ct_status *CT_NONNULL status);
void ct_status_free(ct_status *CT_NULLABLE status);

// Handles made less handles freed by the calling thread, for leak checks.
int64_t ct_live_tensors(void);
int64_t ct_live_generators(void);
int64_t ct_live_sinks(void);
int64_t ct_live_slots(void);
int64_t ct_live_statuses(void);
int64_t ct_live_host_copies(void);

CT_END
#endif
