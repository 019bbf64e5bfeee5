// SPDX-License-Identifier: Apache-2.0
//
// A calendar that jumps: loaded before the system's library (LD_PRELOAD), it moves the time of day by years, days or a
// second, forwards and backwards, at every thirty-second question. Clocks that only go forward are left alone.

#define _GNU_SOURCE
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int64_t jump(void) {
  static const int64_t seconds[] = {0, 1, -1, 3600, -3600, 86400, -86400, 315360000, -315360000};
  static atomic_uint_fast64_t questions;
  static atomic_uint_fast64_t seed;
  if (atomic_load(&seed) == 0) {
    const char *text = getenv("COHERENT_CLOCK_SEED");
    atomic_store(&seed, (text ? strtoull(text, NULL, 10) : 0) * 2 + 1);
  }
  uint64_t x = (atomic_fetch_add(&questions, 1) / 32 + 1) * 0x9e3779b97f4a7c15u ^ atomic_load(&seed);
  x = (x ^ x >> 31) * 0xbf58476d1ce4e5b9u;
  return seconds[(x >> 33) % (sizeof seconds / sizeof *seconds)];
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  const int result = (int)syscall(SYS_clock_gettime, clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += jump();
  return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  (void)zone;
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *out) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  if (out != NULL) *out = now.tv_sec;
  return now.tv_sec;
}
