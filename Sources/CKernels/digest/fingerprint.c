/// A fingerprint for damage: eight sums of products over words of 64 bits, which any compiler makes vectors of.
#include <string.h>

#include "Digest.h"

enum { WORDS = 8, STRIPE = WORDS * 8 };

/// Odd numbers without a pattern: the fractional parts of the square roots of the first primes, the last bit set.
static const uint64_t keys[WORDS] = {0x6a09e667f3bcc909, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
                                     0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};

/// A word and its place come into a sum twice: multiplied, half by half, and turned by half, so that a zero half hides nothing of the other.
static inline void take_stripe(const uint64_t words[WORDS], uint64_t mask, uint64_t place, uint64_t sums[WORDS]) {
  for (int i = 0; i < WORDS; i++) {
    uint64_t word = (words[i] ^ mask) + (keys[i] ^ place);
    sums[i] += (word & 0xffffffff) * (word >> 32) + (word << 32 | word >> 32);
  }
}

static uint64_t mixed(uint64_t x) {
  x ^= x >> 31, x *= keys[0];
  x ^= x >> 29, x *= keys[1];
  return x ^ x >> 32;
}

void dso_fingerprint(const void *bytes, int64_t count, uint8_t mask, uint64_t out[2]) {
  const uint8_t *from = bytes;
  uint64_t sums[WORDS] = {0}, words[WORDS], spread = 0x0101010101010101u * mask, place = 0;
  for (; count - (int64_t)place >= STRIPE; place += STRIPE) {
    memcpy(words, from + place, STRIPE);
    take_stripe(words, spread, place * keys[2], sums);
  }
  if ((int64_t)place < count) {
    memset(words, mask, sizeof words);
    memcpy(words, from + place, (size_t)(count - (int64_t)place));
    take_stripe(words, spread, place * keys[2], sums);
  }
  uint64_t low = mixed((uint64_t)count), high = mixed(~(uint64_t)count);
  for (int i = 0; i < WORDS; i++) {
    low = mixed(low ^ sums[i]);
    high = mixed(high + sums[i] * keys[i]);
  }
  out[0] = low;
  out[1] = high;
}
