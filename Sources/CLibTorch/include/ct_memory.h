// SPDX-License-Identifier: Apache-2.0
//
// How much memory tensors on the CPU take during some work of one thread.
#ifndef CT_MEMORY_H
#define CT_MEMORY_H

#include "ct_base.h"

CT_BEGIN

typedef struct ct_memory_meter ct_memory_meter;

// Counts what libtorch hands out to the calling thread, and to the backward passes it starts, until the meter is freed,
// which must happen on the same thread and in the reverse order of creation. Tensors that are older do not count; they
// should not be freed meanwhile. Scratch memory that oneDNN takes by itself does not show.
CT_CALL ct_memory_meter_create(ct_memory_meter *CT_NULLABLE *CT_NONNULL out);
void ct_memory_meter_free(ct_memory_meter *CT_NULLABLE meter);
// Bytes in use now.
int64_t ct_memory_meter_live(const ct_memory_meter *CT_NONNULL meter);
// Bytes in use at most since the meter was made or this was asked last.
int64_t ct_memory_meter_take_peak(ct_memory_meter *CT_NONNULL meter);

CT_END
#endif
