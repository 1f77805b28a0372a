#include <string.h>

#include "../include/Rearranging.h"

/// The row of eight whose code a nibble holds.
static const int row_of[8] = {0, 2, 4, 6, 1, 3, 5, 7};

/// Eight words of eight nibbles, nibble j of word i to nibble i of word j.
static void exchange(const uint32_t *from, uint32_t *to) {
  for (int j = 0; j < 8; j++) {
    uint32_t word = 0;
    for (int i = 0; i < 8; i++) word |= (from[i] >> (4 * j) & 15) << (4 * i);
    to[j] = word;
  }
}

void dso_rows_to_awq(const void *rows, int64_t n, int64_t k, void *words) {
  const char *from = rows;
  char *to = words;
  for (int64_t r = 0; r < n; r += 8) {
    for (int64_t c = 0; c < k; c += 8) {
      uint32_t taken[8], given[8];
      for (int i = 0; i < 8; i++) memcpy(taken + i, from + ((r + row_of[i]) * (k / 8) + c / 8) * 4, 4);
      exchange(taken, given);
      for (int j = 0; j < 8; j++) memcpy(to + ((c + j) * (n / 8) + r / 8) * 4, given + j, 4);
    }
  }
}

void dso_awq_to_rows(const void *words, int64_t n, int64_t k, void *rows) {
  const char *from = words;
  char *to = rows;
  for (int64_t r = 0; r < n; r += 8) {
    for (int64_t c = 0; c < k; c += 8) {
      uint32_t taken[8], given[8];
      for (int j = 0; j < 8; j++) memcpy(taken + j, from + ((c + j) * (n / 8) + r / 8) * 4, 4);
      exchange(taken, given);
      for (int i = 0; i < 8; i++) memcpy(to + ((r + row_of[i]) * (k / 8) + c / 8) * 4, given + i, 4);
    }
  }
}
