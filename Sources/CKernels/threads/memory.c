/// For MAP_ANONYMOUS and madvise, which strict C leaves out.
#define _DEFAULT_SOURCE
#include "../include/Memory.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

enum { LARGE_PAGE = 2 << 20 };

/// A few regions that were given back wait for the next who asks: pages that the system hands out anew cost more than clearing known ones.
enum { KEPT_REGIONS = 16, KEPT_BYTES = 128 << 20 };
typedef struct {
  void *pages;
  int64_t size;
} region;
static region kept[KEPT_REGIONS];
static int64_t kept_bytes;
static pthread_mutex_t keeping = PTHREAD_MUTEX_INITIALIZER;

/// The smallest region that holds `wanted` bytes without wasting half of itself; NULL when there is none.
static void *take_kept(int64_t wanted, int64_t *size) {
  pthread_mutex_lock(&keeping);
  region *best = NULL;
  for (region *r = kept; r < kept + KEPT_REGIONS; r++)
    if (r->pages && r->size >= wanted && r->size <= 2 * wanted && (!best || r->size < best->size)) best = r;
  void *pages = NULL;
  if (best) {
    pages = best->pages, *size = best->size;
    kept_bytes -= best->size;
    best->pages = NULL;
  }
  pthread_mutex_unlock(&keeping);
  return pages;
}

void *dso_map_pages(int64_t bytes, int64_t *size, int *zeroed) {
  // Room to begin on a large page; what lies before and behind is given back.
  int64_t wanted = (bytes + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE, reserved = wanted + LARGE_PAGE;
  void *known = take_kept(wanted, size);
  *zeroed = known == NULL;
  if (known) return known;
  uint8_t *base = mmap(NULL, (size_t)reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return NULL;
  int64_t before = (int64_t)(-(uintptr_t)base & (LARGE_PAGE - 1));
  if (before > 0) munmap(base, (size_t)before);
  if (reserved - before > wanted) munmap(base + before + wanted, (size_t)(reserved - before - wanted));
#ifdef MADV_HUGEPAGE
  madvise(base + before, (size_t)wanted, MADV_HUGEPAGE);
#endif
  *size = wanted;
  return base + before;
}

void dso_unmap_pages(void *pages, int64_t size) {
  pthread_mutex_lock(&keeping);
  region *place = NULL;
  for (region *r = kept; r < kept + KEPT_REGIONS && !place && kept_bytes + size <= KEPT_BYTES; r++)
    if (!r->pages) place = r;
  if (place) {
    place->pages = pages, place->size = size;
    kept_bytes += size;
  }
  pthread_mutex_unlock(&keeping);
  if (!place) munmap(pages, (size_t)size);
}

void dso_give_back_memory(void) {
  // The system takes its time over pages: nobody who asks for a region waits for it.
  region unwanted[KEPT_REGIONS];
  pthread_mutex_lock(&keeping);
  for (int i = 0; i < KEPT_REGIONS; i++) unwanted[i] = kept[i], kept[i].pages = NULL;
  kept_bytes = 0;
  pthread_mutex_unlock(&keeping);
  for (region *r = unwanted; r < unwanted + KEPT_REGIONS; r++)
    if (r->pages) munmap(r->pages, (size_t)r->size);
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}
