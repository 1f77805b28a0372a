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

static atomic_size_t hdf5_limit = SIZE_MAX;

void dso_report_exhaustion(int status) { atomic_store(&exit_status, status); }

size_t dso_limit_hdf5_requests(size_t bytes) { return atomic_exchange(&hdf5_limit, bytes); }

static int is_hdf5(const void *caller) {
  Dl_info info;
  return dladdr(caller, &info) && info.dli_fname && strstr(info.dli_fname, "libhdf5");
}

/// Whether so much is asked for by the HDF5 library, and more than the file in hand can be the reason for.
static int is_unjustified(size_t count, const void *caller) {
  return count > atomic_load_explicit(&hdf5_limit, memory_order_relaxed) && is_hdf5(caller);
}

/// Called when nothing was granted. Returns where somebody asked who knows what to do without.
static void refused(size_t count, const void *caller) {
  int status = atomic_load(&exit_status);
  // That library reports what a file asks for and cannot have.
  if (!status || is_hdf5(caller)) return;
  // Of threads that meet it at once, one says so.
  while (atomic_flag_test_and_set(&is_ending)) pause();
  char line[160];
  int length = snprintf(
      line, sizeof line, "error: memory: the system refused %zu bytes more; allow the process more, or lower --max-memory\n", count);
  ssize_t written = write(STDERR_FILENO, line, (size_t)length);
  (void)written;
  _exit(status);
}

/// What a request comes back with that is not even tried.
static void *nothing(void) {
  errno = ENOMEM;
  return NULL;
}

void *malloc(size_t count) {
  if (is_unjustified(count, __builtin_return_address(0))) return nothing();
  void *memory = __libc_malloc(count);
  if (!memory) refused(count, __builtin_return_address(0));
  return memory;
}

void *calloc(size_t number, size_t size) {
  size_t count;
  if (__builtin_mul_overflow(number, size, &count)) count = SIZE_MAX;
  if (is_unjustified(count, __builtin_return_address(0))) return nothing();
  void *memory = __libc_calloc(number, size);
  if (!memory) refused(count, __builtin_return_address(0));
  return memory;
}

void *realloc(void *old, size_t count) {
  if (is_unjustified(count, __builtin_return_address(0))) return nothing();
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
