#include <string.h>

#include "../include/CKernels.h"

// Bound by memory: words that any compiler makes vectors of.
void dso_exchange_signs(const void *from, void *to, int64_t count) {
  const uint8_t *source = from;
  uint8_t *target = to;
  int64_t i = 0;
  for (; i + 64 <= count; i += 64) {
    uint64_t words[8];
    memcpy(words, source + i, sizeof words);
    for (int j = 0; j < 8; j++) words[j] ^= 0x8080808080808080u;
    memcpy(target + i, words, sizeof words);
  }
  for (; i < count; i++) target[i] = source[i] ^ 0x80;
}
