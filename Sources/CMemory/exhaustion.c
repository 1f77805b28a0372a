#define _GNU_SOURCE
#include "CMemory.h"

#include <errno.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define IS_SANITIZED 1
#endif
#endif

#if defined(__GLIBC__) && !defined(IS_SANITIZED)
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static atomic_int exit_status;
static atomic_flag is_ending = ATOMIC_FLAG_INIT;

void dso_report_exhaustion(int status) { atomic_store(&exit_status, status); }

/// Called when nothing was granted. Returns where somebody asked who knows what to do without.
static void refused(size_t count, const void *caller) {
  int status = atomic_load(&exit_status);
  Dl_info info;
  if (!status) return;
  // This library reports what a file asks for and cannot have.
  if (dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "libhdf5")) return;
  // Of threads that meet it at once, one says so.
  while (atomic_flag_test_and_set(&is_ending)) pause();
  char line[160];
  int length = snprintf(
      line, sizeof line, "error: memory: the system refused %zu bytes more; allow the process more, or lower --max-memory\n", count);
  ssize_t written = write(STDERR_FILENO, line, (size_t)length);
  (void)written;
  _exit(status);
}

void *malloc(size_t count) {
  void *memory = __libc_malloc(count);
  if (!memory) refused(count, __builtin_return_address(0));
  return memory;
}

void *calloc(size_t number, size_t size) {
  void *memory = __libc_calloc(number, size);
  size_t count;
  if (!memory) refused(__builtin_mul_overflow(number, size, &count) ? SIZE_MAX : count, __builtin_return_address(0));
  return memory;
}

void *realloc(void *old, size_t count) {
  void *memory = __libc_realloc(old, count);
  // Nothing is also what comes back when memory was freed.
  if (!memory && count) refused(count, __builtin_return_address(0));
  return memory;
}

void *aligned_alloc(size_t alignment, size_t count) {
  void *memory = __libc_memalign(alignment, count);
  if (!memory) refused(count, __builtin_return_address(0));
  return memory;
}

int posix_memalign(void **result, size_t alignment, size_t count) {
  if (!alignment || alignment % sizeof(void *) || alignment & (alignment - 1)) return EINVAL;
  int code = errno;
  void *memory = __libc_memalign(alignment, count);
  if (!memory) {
    refused(count, __builtin_return_address(0));
    errno = code;
    return ENOMEM;
  }
  *result = memory;
  return 0;
}

#else
void dso_report_exhaustion(int status) { (void)status; }
#endif
