// SPDX-License-Identifier: Apache-2.0
//
// Preloaded by scripts/power-loss: writes a record of every change of a file or folder below POWER_ROOT to POWER_LOG, in
// the order in which they happen, and of every flush. A record is a line of words (names in hexadecimal), and for a write
// the bytes behind it:
//
//   C folder name node kind      an entry appears: kind f (file) or d (folder)
//   R folder name folder name    an entry is renamed
//   U folder name                an entry disappears
//   W node place count           bytes are written
//   T node size                  a file is cut off or made longer
//   S node                       a file or folder is flushed
//
// Files and folders are known by their inodes.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int log_file = -1;
static char root[PATH_MAX];
static size_t root_length;
static pid_t owner;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

// The order of the records is that of the changes, over all threads and processes: a change and its record are one.
static void begin(void) {
  pthread_mutex_lock(&mutex);
  if (owner != getpid()) {
    owner = getpid();
    const char *path = getenv("POWER_LOG"), *below = getenv("POWER_ROOT");
    if (path != NULL && below != NULL && realpath(below, root) != NULL) {
      root_length = strlen(root);
      log_file = REAL(open)(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    }
  }
  if (log_file >= 0) flock(log_file, LOCK_EX);
}

static void end(void) {
  const int code = errno;
  if (log_file >= 0) flock(log_file, LOCK_UN);
  pthread_mutex_unlock(&mutex);
  errno = code;
}

static void put(const char *text, const void *bytes, size_t count) {
  const struct iovec parts[] = {{(void *)text, strlen(text)}, {(void *)bytes, count}};
  if (REAL(writev)(log_file, parts, count > 0 ? 2 : 1) < 0) abort();
}

// An entry: its folder's inode and its name. False where it is not below the root.
typedef struct {
  unsigned long long folder;
  char name[2 * NAME_MAX + 1];
} entry;

static int is_below(const char *path) {
  return strncmp(path, root, root_length) == 0 && (path[root_length] == '/' || path[root_length] == 0);
}

static int find(int at, const char *path, entry *found) {
  char folder[PATH_MAX], whole[PATH_MAX], resolved[PATH_MAX];
  if (log_file < 0 || path == NULL || strlen(path) >= PATH_MAX - 64) return 0;
  if (path[0] != '/' && at != AT_FDCWD) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", at);
    const ssize_t length = readlink(link, folder, sizeof folder - 1);
    if (length < 0) return 0;
    folder[length] = 0;
    if (snprintf(whole, sizeof whole, "%s/%s", folder, path) >= (int)sizeof whole) return 0;
  } else {
    strcpy(whole, path);
  }
  size_t length = strlen(whole);
  while (length > 1 && whole[length - 1] == '/') whole[--length] = 0;
  char *slash = strrchr(whole, '/');
  const char *name = slash == NULL ? whole : slash + 1;
  if (slash == NULL) {
    strcpy(folder, ".");
  } else {
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - whole > 0 ? slash - whole : 1), whole);
  }
  struct stat facts;
  if (realpath(folder, resolved) == NULL || !is_below(resolved) || stat(resolved, &facts) != 0) return 0;
  found->folder = facts.st_ino;
  size_t place = 0;
  for (; *name != 0 && place + 2 < sizeof found->name; ++name) {
    place += (size_t)sprintf(found->name + place, "%02x", (unsigned char)*name);
  }
  found->name[place] = 0;
  return 1;
}

static unsigned long long node_of(int file, int *is_ours) {
  char link[64], path[PATH_MAX];
  struct stat facts;
  *is_ours = 0;
  if (log_file < 0 || file == log_file || fstat(file, &facts) != 0) return 0;
  if (!S_ISREG(facts.st_mode) && !S_ISDIR(facts.st_mode)) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  *is_ours = is_below(path);
  return facts.st_ino;
}

static void created(const entry *e, int is_folder, const char *path, int at) {
  struct stat facts;
  char text[PATH_MAX];
  if (fstatat(at, path, &facts, AT_SYMLINK_NOFOLLOW) != 0) return;
  snprintf(text, sizeof text, "C %llu %s %llu %c\n", e->folder, e->name, (unsigned long long)facts.st_ino, is_folder ? 'd' : 'f');
  put(text, NULL, 0);
}

static int opened(int at, const char *path, int flags, mode_t mode) {
  if ((flags & (O_CREAT | O_TRUNC)) == 0) return REAL(openat)(at, path, flags, mode);
  begin();
  entry e;
  struct stat facts;
  const int is_ours = find(at, path, &e), was_there = fstatat(at, path, &facts, 0) == 0;
  const int file = REAL(openat)(at, path, flags, mode);
  if (is_ours && file >= 0) {
    if (!was_there) created(&e, 0, path, at);
    if (was_there && (flags & O_TRUNC) != 0 && facts.st_size > 0) {
      char text[64];
      snprintf(text, sizeof text, "T %llu 0\n", (unsigned long long)facts.st_ino);
      put(text, NULL, 0);
    }
  }
  end();
  return file;
}

#define MODE_OF(flags)                    \
  mode_t mode = 0;                        \
  if (((flags) & (O_CREAT | O_TMPFILE)) != 0) { \
    va_list list;                         \
    va_start(list, flags);                \
    mode = va_arg(list, mode_t);          \
    va_end(list);                         \
  }

int open(const char *path, int flags, ...) { MODE_OF(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE_OF(flags) return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE_OF(flags) return opened(at, path, flags, mode); }
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_TRUNC | O_WRONLY, mode); }

static int made_temporary(char *path, int ending) {
  begin();
  const int file = REAL(mkstemps)(path, ending);
  entry e;
  if (file >= 0 && find(AT_FDCWD, path, &e)) created(&e, 0, path, AT_FDCWD);
  end();
  return file;
}
int mkstemp(char *path) { return made_temporary(path, 0); }
int mkstemps(char *path, int ending) { return made_temporary(path, ending); }

static void written(int file, unsigned long long node, off_t place, const void *bytes, ssize_t count) {
  if (count <= 0) return;
  if (place < 0) place = lseek(file, 0, SEEK_CUR) - count;
  char text[96];
  snprintf(text, sizeof text, "W %llu %lld %lld\n", node, (long long)place, (long long)count);
  put(text, bytes, (size_t)count);
}

ssize_t write(int file, const void *bytes, size_t count) {
  // Pipes and terminals are not waited for with the log held.
  struct stat facts;
  if (fstat(file, &facts) != 0 || !S_ISREG(facts.st_mode)) return REAL(write)(file, bytes, count);
  begin();
  int is_ours;
  const unsigned long long node = node_of(file, &is_ours);
  const ssize_t done = REAL(write)(file, bytes, count);
  if (is_ours) written(file, node, -1, bytes, done);
  end();
  return done;
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t place) {
  begin();
  int is_ours;
  const unsigned long long node = node_of(file, &is_ours);
  const ssize_t done = REAL(pwrite)(file, bytes, count, place);
  if (is_ours) written(file, node, place, bytes, done);
  end();
  return done;
}
ssize_t pwrite64(int file, const void *bytes, size_t count, off_t place) { return pwrite(file, bytes, count, place); }

static int cut(int file, const char *path, off_t size) {
  begin();
  int is_ours = 0, code;
  unsigned long long node = 0;
  if (path != NULL) {
    entry e;
    struct stat facts;
    is_ours = find(AT_FDCWD, path, &e) && stat(path, &facts) == 0;
    if (is_ours) node = facts.st_ino;
    code = REAL(truncate)(path, size);
  } else {
    node = node_of(file, &is_ours);
    code = REAL(ftruncate)(file, size);
  }
  if (is_ours && code == 0) {
    char text[64];
    snprintf(text, sizeof text, "T %llu %lld\n", node, (long long)size);
    put(text, NULL, 0);
  }
  end();
  return code;
}
int truncate(const char *path, off_t size) { return cut(-1, path, size); }
int truncate64(const char *path, off_t size) { return cut(-1, path, size); }
int ftruncate(int file, off_t size) { return cut(file, NULL, size); }
int ftruncate64(int file, off_t size) { return cut(file, NULL, size); }

static int flushed(int file, int (*call)(int)) {
  begin();
  int is_ours;
  const unsigned long long node = node_of(file, &is_ours);
  const int code = call(file);
  if (is_ours && code == 0) {
    char text[64];
    snprintf(text, sizeof text, "S %llu\n", node);
    put(text, NULL, 0);
  }
  end();
  return code;
}
int fsync(int file) { return flushed(file, REAL(fsync)); }
int fdatasync(int file) { return flushed(file, REAL(fdatasync)); }

static int renamed(int from, const char *old, int to, const char *new) {
  begin();
  entry a, b;
  const int has_old = find(from, old, &a), has_new = find(to, new, &b);
  const int code = REAL(renameat)(from, old, to, new);
  if (code == 0 && (has_old || has_new)) {
    if (!has_old || !has_new) {
      fprintf(stderr, "power-loss: %s is renamed to %s, across the border of what is watched\n", old, new);
      abort();
    }
    char text[2 * PATH_MAX];
    snprintf(text, sizeof text, "R %llu %s %llu %s\n", a.folder, a.name, b.folder, b.name);
    put(text, NULL, 0);
  }
  end();
  return code;
}
int rename(const char *old, const char *new) { return renamed(AT_FDCWD, old, AT_FDCWD, new); }
int renameat(int from, const char *old, int to, const char *new) { return renamed(from, old, to, new); }

static int removed(int at, const char *path, int flags) {
  begin();
  entry e;
  const int is_ours = find(at, path, &e), code = REAL(unlinkat)(at, path, flags);
  if (is_ours && code == 0) {
    char text[PATH_MAX];
    snprintf(text, sizeof text, "U %llu %s\n", e.folder, e.name);
    put(text, NULL, 0);
  }
  end();
  return code;
}
int unlink(const char *path) { return removed(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return removed(at, path, flags); }
int rmdir(const char *path) { return removed(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) {
  struct stat facts;
  return removed(AT_FDCWD, path, lstat(path, &facts) == 0 && S_ISDIR(facts.st_mode) ? AT_REMOVEDIR : 0);
}

static int made_folder(int at, const char *path, mode_t mode) {
  begin();
  entry e;
  const int is_ours = find(at, path, &e), code = REAL(mkdirat)(at, path, mode);
  if (is_ours && code == 0) created(&e, 1, path, at);
  end();
  return code;
}
int mkdir(const char *path, mode_t mode) { return made_folder(AT_FDCWD, path, mode); }
int mkdirat(int at, const char *path, mode_t mode) { return made_folder(at, path, mode); }

int linkat(int from, const char *old, int to, const char *new, int flags) {
  begin();
  entry e;
  const int is_ours = find(to, new, &e), code = REAL(linkat)(from, old, to, new, flags);
  if (is_ours && code == 0) created(&e, 0, new, to);
  end();
  return code;
}
int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }
