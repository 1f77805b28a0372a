#include <string.h>

#include "../include/Rearranging.h"

/// A side of the squares that are moved together, so that what is read and what is written stay in the cache.
enum { SIDE = 32 };

#define TRANSPOSE(type)                                                                                              \
  static void transpose_##type(const char *from, int64_t rows, int64_t columns, char *to) {                          \
    for (int64_t r = 0; r < rows; r += SIDE) {                                                                       \
      int64_t last_row = r + SIDE < rows ? r + SIDE : rows;                                                          \
      for (int64_t c = 0; c < columns; c += SIDE) {                                                                  \
        int64_t last_column = c + SIDE < columns ? c + SIDE : columns;                                               \
        for (int64_t j = c; j < last_column; j++) {                                                                  \
          for (int64_t i = r; i < last_row; i++) {                                                                   \
            memcpy(to + (j * rows + i) * (int64_t)sizeof(type), from + (i * columns + j) * (int64_t)sizeof(type), sizeof(type)); \
          }                                                                                                          \
        }                                                                                                            \
      }                                                                                                              \
    }                                                                                                                \
  }

TRANSPOSE(uint8_t)
TRANSPOSE(uint16_t)
TRANSPOSE(uint32_t)

void dso_transpose(const void *from, int64_t rows, int64_t columns, int width, void *to) {
  if (width == 1) transpose_uint8_t(from, rows, columns, to);
  if (width == 2) transpose_uint16_t(from, rows, columns, to);
  if (width == 4) transpose_uint32_t(from, rows, columns, to);
}
