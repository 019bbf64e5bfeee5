// SPDX-License-Identifier: Apache-2.0

#include "CThreadPolicy.h"

#include <string.h>
#include <unistd.h>

// libtorch computes in libgomp's threads. Between two operations they wait for each other, by default by looking some
// 300 000 times before they sleep: milliseconds, in which a thread that could work may be kept from its processor by
// one that waits. On a busy machine that makes a training ten times slower and more. Threads that sleep at once cost
// twice the time on a quiet machine. A short wait in between has both.
#define SPIN_COUNT "1000"

const char *coherent_spin_count(void) { return SPIN_COUNT; }

#if defined(__linux__) && defined(__GLIBC__)

static int is_set(char **environment, const char *name) {
  const size_t length = strlen(name);
  for (char **entry = environment; *entry != NULL; ++entry) {
    if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=') return 1;
  }
  return 0;
}

// libgomp reads its settings once, while it is loaded, which is before main, before all constructors of the program and
// before the C library takes changes of the environment. So the program starts itself once more with the setting. This
// function runs before any library is initialised, which makes the second start cheap, and before anything was read or
// written. Where starting fails, the program goes on as it is.
static void start_with_short_wait(int count, char **arguments, char **environment) {
  (void)count;
  if (environment == NULL || is_set(environment, "OMP_WAIT_POLICY") || is_set(environment, "GOMP_SPINCOUNT")) return;
  size_t entries = 0;
  while (environment[entries] != NULL) ++entries;
  // Nothing may be allocated yet.
  enum { most = 4096 };
  char *longer[most + 2];
  if (entries > most) return;
  for (size_t i = 0; i < entries; ++i) longer[i] = environment[i];
  longer[entries] = "GOMP_SPINCOUNT=" SPIN_COUNT;
  longer[entries + 1] = NULL;
  execve("/proc/self/exe", arguments, longer);
}

__attribute__((section(".preinit_array"), used)) static void (*const before_libraries)(int, char **, char **) =
    start_with_short_wait;

#endif
