// Faults for one process, by LD_PRELOAD: Tests/Faults/faults.py builds it and sets the variables.
//
//   FAULTS_UNDER  the directory whose files count; calls on others pass through
//   FAULTS_COUNT  a file that gets the number of changing and of reading calls, when the process exits
//   FAULTS_KILL   N: the process is killed at its Nth changing call; a write is half done then
//   FAULTS_FAIL   CLASS:ERRNO:N[+]: the Nth call of a class (write, sync, rename, open, read, map) fails, with + every one from there on
//   FAULTS_SHORT  1: reads and writes move a part of what they are asked for, of a length that differs from call to call
//   FAULTS_CLOCK  N: the clock that intervals are taken from runs N times as fast, so that a short run saves as often as a long one
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum class { WRITE, SYNC, RENAME, OPEN, READ, MAP, CLASSES };
static const char *const names[CLASSES] = {"write", "sync", "rename", "open", "read", "map"};

static char under[4096];
static size_t under_length;
static long kill_at;
static int fail_class = -1, fail_error, fail_on;
static long fail_at;
static int is_short;
static long clock_rate;
static atomic_long changes, reads, calls[CLASSES];
static atomic_uint_fast32_t turn;

#define REAL(name) \
  static __typeof__(name) *real; \
  if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static void report(void) {
  const char *path = getenv("FAULTS_COUNT");
  if (!path) return;
  FILE *file = fopen(path, "w");
  if (!file) return;
  fprintf(file, "{\"changes\": %ld, \"reads\": %ld", changes, reads);
  for (int i = 0; i < CLASSES; i++) fprintf(file, ", \"%s\": %ld", names[i], calls[i]);
  fprintf(file, "}\n");
  fclose(file);
}

__attribute__((constructor)) static void begin(void) {
  const char *text;
  if ((text = getenv("FAULTS_UNDER")) && !realpath(text, under)) under[0] = 0;
  under_length = strlen(under);
  if ((text = getenv("FAULTS_KILL"))) kill_at = atol(text);
  if ((text = getenv("FAULTS_SHORT"))) is_short = atoi(text);
  if ((text = getenv("FAULTS_CLOCK"))) clock_rate = atol(text);
  if ((text = getenv("FAULTS_FAIL"))) {
    char name[16] = {0};
    char plus = 0;
    if (sscanf(text, "%15[^:]:%d:%ld%c", name, &fail_error, &fail_at, &plus) >= 3) {
      for (int i = 0; i < CLASSES; i++)
        if (!strcmp(names[i], name)) fail_class = i;
      fail_on = plus == '+';
    }
  }
  atexit(report);
}

static int counts_path(const char *path) {
  char absolute[8192];
  if (!under_length || !path) return 0;
  if (path[0] != '/') {
    char here[4096];
    if (!getcwd(here, sizeof here)) return 0;
    snprintf(absolute, sizeof absolute, "%s/%s", here, path);
    path = absolute;
  }
  return !strncmp(path, under, under_length) && (path[under_length] == '/' || !path[under_length]);
}

static int counts(int handle) {
  char link[64], path[4096];
  if (handle < 0 || !under_length) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return counts_path(path);
}

/// Whether this call fails; errno is set then.
static int fails(enum class class) {
  long number = atomic_fetch_add(&calls[class], 1) + 1;
  if ((int)class != fail_class || (fail_on ? number < fail_at : number != fail_at)) return 0;
  errno = fail_error;
  return 1;
}

/// Counts a changing call. True when the process is to end in it.
static int ends(void) { return atomic_fetch_add(&changes, 1) + 1 == kill_at; }

static void end(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

/// A part of what was asked for: all of it now and then, one byte as well.
static size_t part(size_t count) {
  if (!is_short || count < 2) return count;
  uint32_t number = (uint32_t)atomic_fetch_add(&turn, 1) * 2654435761u;
  if (number % 5 == 0) return 1;
  return number % 5 == 1 ? count : 1 + number % count;
}

ssize_t write(int handle, const void *bytes, size_t count) {
  REAL(write);
  if (handle < 3 || !counts(handle)) return real(handle, bytes, count);
  if (ends()) {
    real(handle, bytes, count / 2);
    end();
  }
  return fails(WRITE) ? -1 : real(handle, bytes, part(count));
}

ssize_t pwrite(int handle, const void *bytes, size_t count, off_t offset) {
  REAL(pwrite);
  if (!counts(handle)) return real(handle, bytes, count, offset);
  if (ends()) {
    real(handle, bytes, count / 2, offset);
    end();
  }
  return fails(WRITE) ? -1 : real(handle, bytes, part(count), offset);
}
ssize_t pwrite64(int handle, const void *bytes, size_t count, off_t offset) { return pwrite(handle, bytes, count, offset); }

ssize_t writev(int handle, const struct iovec *parts, int count) {
  REAL(writev);
  if (!counts(handle)) return real(handle, parts, count);
  if (ends()) end();
  return fails(WRITE) ? -1 : real(handle, parts, count);
}

ssize_t read(int handle, void *bytes, size_t count) {
  REAL(read);
  if (handle < 3 || !counts(handle)) return real(handle, bytes, count);
  atomic_fetch_add(&reads, 1);
  return fails(READ) ? -1 : real(handle, bytes, part(count));
}

ssize_t pread(int handle, void *bytes, size_t count, off_t offset) {
  REAL(pread);
  if (!counts(handle)) return real(handle, bytes, count, offset);
  atomic_fetch_add(&reads, 1);
  return fails(READ) ? -1 : real(handle, bytes, part(count), offset);
}
ssize_t pread64(int handle, void *bytes, size_t count, off_t offset) { return pread(handle, bytes, count, offset); }

int open(const char *path, int flags, ...) {
  REAL(open);
  mode_t mode = 0;
  if (flags & (O_CREAT | O_TMPFILE)) {
    va_list list;
    va_start(list, flags);
    mode = va_arg(list, mode_t);
    va_end(list);
  }
  if (!counts_path(path)) return real(path, flags, mode);
  if (flags & O_CREAT && ends()) end();
  return fails(OPEN) ? -1 : real(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
  mode_t mode = 0;
  if (flags & (O_CREAT | O_TMPFILE)) {
    va_list list;
    va_start(list, flags);
    mode = va_arg(list, mode_t);
    va_end(list);
  }
  return open(path, flags, mode);
}

void *mmap(void *address, size_t length, int protection, int flags, int handle, off_t offset) {
  REAL(mmap);
  if (handle >= 0 && counts(handle) && fails(MAP)) return MAP_FAILED;
  return real(address, length, protection, flags, handle, offset);
}
void *mmap64(void *address, size_t length, int protection, int flags, int handle, off_t offset) {
  return mmap(address, length, protection, flags, handle, offset);
}

int fsync(int handle) {
  REAL(fsync);
  if (!counts(handle)) return real(handle);
  if (ends()) end();
  return fails(SYNC) ? -1 : real(handle);
}

int fdatasync(int handle) {
  REAL(fdatasync);
  if (!counts(handle)) return real(handle);
  if (ends()) end();
  return fails(SYNC) ? -1 : real(handle);
}

int ftruncate(int handle, off_t length) {
  REAL(ftruncate);
  if (!counts(handle)) return real(handle, length);
  if (ends()) end();
  return fails(WRITE) ? -1 : real(handle, length);
}
int ftruncate64(int handle, off_t length) { return ftruncate(handle, length); }

int rename(const char *from, const char *to) {
  REAL(rename);
  if (!counts_path(to)) return real(from, to);
  if (ends()) end();
  return fails(RENAME) ? -1 : real(from, to);
}

int renameat2(int from_directory, const char *from, int to_directory, const char *to, unsigned int flags) {
  REAL(renameat2);
  if (!counts_path(to)) return real(from_directory, from, to_directory, to, flags);
  if (ends()) end();
  return fails(RENAME) ? -1 : real(from_directory, from, to_directory, to, flags);
}

int link(const char *from, const char *to) {
  REAL(link);
  if (counts_path(to) && ends()) end();
  return real(from, to);
}

int mkdir(const char *path, mode_t mode) {
  REAL(mkdir);
  if (counts_path(path) && ends()) end();
  return real(path, mode);
}

int rmdir(const char *path) {
  REAL(rmdir);
  if (counts_path(path) && ends()) end();
  return real(path);
}

int unlink(const char *path) {
  REAL(unlink);
  if (counts_path(path) && ends()) end();
  return real(path);
}

int unlinkat(int directory, const char *path, int flags) {
  REAL(unlinkat);
  if ((directory == AT_FDCWD ? counts_path(path) : counts(directory)) && ends()) end();
  return real(directory, path, flags);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  REAL(clock_gettime);
  static int64_t start;
  int status = real(clock, time);
  if (status || clock != CLOCK_BOOTTIME || clock_rate < 2) return status;
  int64_t now = (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
  if (!start) start = now;
  int64_t shown = start + (now - start) * clock_rate;
  time->tv_sec = shown / 1000000000;
  time->tv_nsec = shown % 1000000000;
  return 0;
}
