// SPDX-License-Identifier: Apache-2.0
//
// Processes that train together: ranks 0..<count of a group, over libtorch's own engine (c10d with gloo), and over NCCL for
// tensors of GPUs.
#ifndef CT_COLLECTIVES_H
#define CT_COLLECTIVES_H

#include "ct_base.h"

CT_BEGIN

typedef struct ct_group ct_group;

// What is used of NCCL's interface in C: the functions of the same names after "nccl". Codes are 0 for success and 7 for
// what is not done yet.
typedef struct ct_nccl_id {
  char bytes[128];
} ct_nccl_id;
typedef struct ct_nccl {
  int (*CT_NONNULL GetUniqueId)(ct_nccl_id *CT_NONNULL);
  int (*CT_NONNULL CommInitRank)(void *CT_NULLABLE *CT_NONNULL, int count, ct_nccl_id, int rank);
  int (*CT_NONNULL CommAbort)(void *CT_NULLABLE);
  int (*CT_NONNULL CommGetAsyncError)(void *CT_NULLABLE, int *CT_NONNULL);
  const char *CT_NULLABLE (*CT_NONNULL GetErrorString)(int);
  int (*CT_NONNULL GroupStart)(void);
  int (*CT_NONNULL GroupEnd)(void);
  int (*CT_NONNULL Send)(const void *CT_NULLABLE, size_t, int type, int to, void *CT_NULLABLE, void *CT_NULLABLE stream);
  int (*CT_NONNULL Recv)(void *CT_NULLABLE, size_t, int type, int from, void *CT_NULLABLE, void *CT_NULLABLE stream);
  int (*CT_NONNULL AllGather)(const void *CT_NULLABLE, void *CT_NULLABLE, size_t, int type, void *CT_NULLABLE,
                              void *CT_NULLABLE stream);
  int (*CT_NONNULL Broadcast)(const void *CT_NULLABLE, void *CT_NULLABLE, size_t, int type, int from, void *CT_NULLABLE,
                              void *CT_NULLABLE stream);
  // What tells this rank's GPU from those of others; of a GPU it is asked for.
  const char *CT_NULLABLE place;
} ct_nccl;

typedef struct ct_group_options {
  const char *CT_NONNULL host;  // where rank 0 listens
  int32_t port;
  int64_t rank;
  int64_t count;
  int64_t timeout_ms;           // of joining, and of every call
  const char *CT_NONNULL name;  // of this process, for messages of the others
  const ct_nccl *CT_NULLABLE nccl;  // in place of the library's, and for tensors on the CPU too: for tests
} ct_group_options;

// Joins a group: waits until every rank is there, or fails with the names of those that are.
CT_CALL ct_group_join(ct_group *CT_NULLABLE *CT_NONNULL out, ct_group_options options);
// Leaves the group. Rank 0, which keeps the addresses, waits a moment for the others to leave.
void ct_group_leave(ct_group *CT_NULLABLE group);

// Every call is made by all ranks in the same order, with contiguous tensors of one type, all on the CPU or each rank's on
// a GPU. A rank that is lost fails the call of every other one, with its name.

// Part r of `source` [ranks' parts one after the other, sent[r] rows each] goes to rank r; `target` receives
// received[r] rows of each rank, in their order.
CT_CALL ct_group_exchange(ct_group *CT_NONNULL group, CT_IN target, CT_IN source, const int64_t *CT_NONNULL received,
                          const int64_t *CT_NONNULL sent);
// The shards of all ranks one after the other.
CT_CALL ct_group_gather(ct_group *CT_NONNULL group, CT_IN target, CT_IN shard);
// The tensor of rank 0 to all.
CT_CALL ct_group_broadcast(ct_group *CT_NONNULL group, CT_IN tensor);
// Whether tensors of GPUs go by NCCL, and not through the hosts' memory; known once one was exchanged.
CT_CALL ct_group_is_direct(bool *CT_NONNULL known, bool *CT_NONNULL direct, ct_group *CT_NONNULL group);
CT_CALL ct_group_barrier(ct_group *CT_NONNULL group);
// A text of this rank, for `ct_group_text`; each key once.
CT_CALL ct_group_publish(ct_group *CT_NONNULL group, const char *CT_NONNULL key, const char *CT_NONNULL text);
// What a rank published under a key, once it has; free it with ct_string_free.
CT_CALL ct_group_text(ct_group *CT_NONNULL group, const char *CT_NONNULL key, int64_t rank,
                      char *CT_NULLABLE *CT_NONNULL out);

CT_END
#endif
