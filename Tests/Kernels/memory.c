#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "run.h"

enum { MOST = 1 << 16, FILL = 0xa5 };

typedef struct {
  uint8_t *pages;  ///< where the mapping begins, or what malloc gave
  uint8_t *begin;
  size_t mapped;
} piece;

static piece pieces[MOST];
static int taken;

/// Aligned to `alignment` and, but for that, up to the end of a page that nothing follows.
static void *take_aligned(int64_t bytes, size_t alignment) {
  size_t size = (size_t)(bytes > 0 ? bytes : 0);
  if (taken == MOST) {
    fprintf(stderr, "a case takes more than %d pieces of memory\n", MOST);
    exit(2);
  }
  piece *p = &pieces[taken++];
#ifdef SANITIZED
  void *at = NULL;
  if (posix_memalign(&at, alignment < sizeof(void *) ? sizeof(void *) : alignment, size > 0 ? size : 1) != 0) exit(2);
  *p = (piece){at, at, 0};
#else
  size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (size + alignment + page - 1) / page * page;
  uint8_t *pages = mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (pages == MAP_FAILED || mprotect(pages + room, page, PROT_NONE) != 0) exit(2);
  size_t begin = (room - size) / alignment * alignment;
  memset(pages, FILL, begin);
  *p = (piece){pages, pages + begin, room + page};
#endif
  return p->begin;
}

void give_back(void) {
  while (taken > 0) {
    piece *p = &pieces[--taken];
#ifdef SANITIZED
    free(p->pages);
#else
    int intact = 1;
    for (uint8_t *at = p->pages; at < p->begin; at++) intact &= *at == FILL;
    expect(intact, "memory before a buffer was written");
    munmap(p->pages, p->mapped);
#endif
  }
}

void *take(int64_t bytes) { return take_aligned(bytes, 1); }

void *scratch_of(int64_t bytes) {
  void *to = take_aligned(bytes, 64);
  memset(to, 0xff, (size_t)bytes);
  return to;
}

void *copy_of(const void *from, int64_t bytes) {
  void *to = take(bytes);
  if (bytes > 0) memcpy(to, from, (size_t)bytes);
  return to;
}

// MARK: - Numbers

static uint64_t state;

void start_numbers(uint64_t seed) { state = seed; }

uint64_t any(void) {
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

int64_t between(int64_t low, int64_t high) { return low + (int64_t)(any() % (uint64_t)(high - low + 1)); }

float number(float low, float high) { return low + (float)(any() >> 40) * 0x1p-24f * (high - low); }

float *floats(int64_t count, float low, float high) {
  float *to = take(count * 4);
  for (int64_t i = 0; i < count; i++) to[i] = number(low, high);
  return to;
}

float *blank(int64_t count) {
  float *to = take(count * 4);
  for (int64_t i = 0; i < count; i++) to[i] = -77;
  return to;
}

int8_t *bytes(int64_t count) {
  int8_t *to = take(count);
  for (int64_t i = 0; i < count; i++) to[i] = (int8_t)any();
  return to;
}
