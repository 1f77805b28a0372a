/// Tells the thread sanitizer of the order that libraries without its instruments bring about: a mutex of Swift's Synchronization that somebody waits
/// for is handed over by the system, and Dispatch hands out the pieces of a loop by itself. What came before is then seen to come before, and a race
/// that the lock or the loop does not rule out is still reported; a suppression would hide that one too.
///
/// Loaded in front of the other libraries (Scripts/test-threads). In a program without the sanitizer nothing is told to anybody.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

extern void __tsan_acquire(void *) __attribute__((weak));
extern void __tsan_release(void *) __attribute__((weak));

static void acquire(void *place) {
  if (__tsan_acquire) __tsan_acquire(place);
}

static void release(void *place) {
  if (__tsan_release) __tsan_release(place);
}

/// The function of the library behind this one; there is no going on without.
static void *behind(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (!found) abort();
  return found;
}

// Without anybody waiting, a mutex is taken and given back in the code that uses it, by operations that are seen. These are the other ways.

#define MUTEX "$s15Synchronization12_MutexHandleV"
#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *

SWIFT void lock_slow(uint32_t thread, SELF mutex) __asm__(MUTEX "9_lockSlowyys6UInt32VF");
SWIFT void lock_slow(uint32_t thread, SELF mutex) {
  SWIFT void (*known)(uint32_t, SELF) = (SWIFT void (*)(uint32_t, SELF))behind(MUTEX "9_lockSlowyys6UInt32VF");
  known(thread, mutex);
  acquire(mutex);
}

SWIFT _Bool try_lock_slow(SELF mutex) __asm__(MUTEX "12_tryLockSlowSbyF");
SWIFT _Bool try_lock_slow(SELF mutex) {
  SWIFT _Bool (*known)(SELF) = (SWIFT _Bool (*)(SELF))behind(MUTEX "12_tryLockSlowSbyF");
  _Bool is_taken = known(mutex);
  if (is_taken) acquire(mutex);
  return is_taken;
}

SWIFT void unlock_slow(SELF mutex) __asm__(MUTEX "11_unlockSlowyyF");
SWIFT void unlock_slow(SELF mutex) {
  SWIFT void (*known)(SELF) = (SWIFT void (*)(SELF))behind(MUTEX "11_unlockSlowyyF");
  release(mutex);
  known(mutex);
}

/// What a block of Clang begins with.
typedef struct {
  void *isa;
  int flags, reserved;
  void (*invoke)(void *block, size_t iteration);
} block;

/// Two places, so that nothing orders one piece behind another.
typedef struct {
  block *body;
  /// Far enough apart to be two places to the sanitizer, which looks at eight bytes together.
  uint64_t begin, end;
} loop;

static void iterate(void *context, size_t iteration) {
  loop *all = context;
  acquire(&all->begin);
  all->body->invoke(all->body, iteration);
  release(&all->end);
}

/// What came before the loop comes before each piece, and every piece before what follows the loop.
void dispatch_apply(size_t iterations, void *queue, block *body) {
  void (*known)(size_t, void *, void *, void (*)(void *, size_t)) =
      (void (*)(size_t, void *, void *, void (*)(void *, size_t)))behind("dispatch_apply_f");
  loop all = {body, 0, 0};
  release(&all.begin);
  known(iterations, queue, &all, iterate);
  acquire(&all.end);
}
