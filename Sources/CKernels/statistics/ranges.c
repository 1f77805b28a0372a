#include <string.h>

#include "../dispatch/contraction.h"
#include "../include/Statistics.h"

// Memory-bound: a plain loop is vectorised by the compiler as well as needed.
int64_t dso_count_outside(const float *x, int64_t count, float low, float high) {
  int64_t outside = 0;
  for (int64_t i = 0; i < count; i++) outside += (x[i] < low) | (x[i] > high);
  return outside;
}

// A file keeps its values where it likes: bytes are copied, which costs nothing where they are aligned.
#define COUNT_BITS(TYPE)                                                                                        \
  int64_t found = 0;                                                                                            \
  for (int64_t i = 0; i < count; i++) {                                                                         \
    TYPE value;                                                                                                 \
    memcpy(&value, (const char *)values + i * (int64_t)sizeof value, sizeof value);                             \
    found += (value & (TYPE)bits) == (TYPE)bits;                                                                \
  }                                                                                                             \
  return found;

static int64_t count_bits16(const void *values, int64_t count, uint64_t bits) { COUNT_BITS(uint16_t) }
static int64_t count_bits32(const void *values, int64_t count, uint64_t bits) { COUNT_BITS(uint32_t) }
static int64_t count_bits64(const void *values, int64_t count, uint64_t bits) { COUNT_BITS(uint64_t) }

int64_t dso_count_with_bits(const void *values, int64_t count, int width, uint64_t bits) {
  switch (width) {
    case 2: return count_bits16(values, count, bits);
    case 4: return count_bits32(values, count, bits);
    case 8: return count_bits64(values, count, bits);
    default: return 0;
  }
}
