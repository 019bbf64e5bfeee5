// SPDX-License-Identifier: Apache-2.0
#ifndef C_NCCL_ON_HOST_H
#define C_NCCL_ON_HOST_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma clang assume_nonnull begin

// A `ct_nccl` whose functions copy bytes between ranks that are threads of this process, in the background as a GPU would.
// `place` is what tells the rank's GPU from others'. It lives as long as the process.
const void *host_nccl(const char *place);

// From now on a rank cannot connect; −1 for none.
void host_nccl_break(int rank);

// How many calls there were, and aborts of calls under way, of all ranks.
int64_t host_nccl_calls(void);
int64_t host_nccl_aborts(void);

#pragma clang assume_nonnull end

#ifdef __cplusplus
}
#endif
#endif
