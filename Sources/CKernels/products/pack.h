/// Packing for the products: rows of 32-bit units become panels in which the units of neighbouring rows lie side by side.
#ifndef DSO_PACK_H
#define DSO_PACK_H

#include "../quantization/codes.h"

/// Up to LANES units of a row that has `bytes` bytes left, the rest zero.
INLINE VF load_units(const uint8_t *from, int64_t bytes) {
  if (bytes >= 4 * LANES) return vf_load((const float *)(const void *)from);
  if (bytes <= 0) return vf_zero();
  float units[LANES] = {0};
  memcpy(units, from, (size_t)bytes);
  return vf_load(units);
}

/// Whole squares of pack_rows. `rows` is a constant where it is called, so that no load is conditional.
INLINE int64_t pack_squares(const uint8_t *from, int64_t row_bytes, int rows, int64_t units, float *to, int64_t pitch) {
  int64_t u = 0;
  for (; u + LANES <= units; u += LANES) {
    VF square[LANES];
    for (int r = 0; r < LANES; r++)
      square[r] = r < rows ? vf_load((const float *)(const void *)(from + r * row_bytes + 4 * u)) : vf_zero();
    vf_transpose(square);
    for (int i = 0; i < LANES; i++) vf_store(to + (u + i) * pitch, square[i]);
  }
  return u;
}

/// Unit u of row r goes to to[u * pitch + r], for `rows` <= LANES rows of `bytes` bytes; missing rows and bytes are zero.
/// Writes LANES units at a time in rising order, so what is written beyond `pitch` is either written again or in the area's slack.
INLINE void pack_rows(const uint8_t *from, int64_t row_bytes, int64_t rows, int64_t bytes, float *to, int64_t pitch) {
  int64_t units = (bytes + 3) / 4, u = 0;
  if (rows == LANES) {
    u = pack_squares(from, row_bytes, LANES, bytes / 4, to, pitch);
  } else if (rows == TILE_ROWS) {
    u = pack_squares(from, row_bytes, TILE_ROWS < LANES ? TILE_ROWS : LANES, bytes / 4, to, pitch);
  }
  for (; u < units; u += LANES) {
    VF square[LANES];
    for (int r = 0; r < LANES; r++) square[r] = r < rows ? load_units(from + r * row_bytes + 4 * u, bytes - 4 * u) : vf_zero();
    vf_transpose(square);
    for (int i = 0; i < dso_min_i64(LANES, units - u); i++) vf_store(to + (u + i) * pitch, square[i]);
  }
}

/// A panel of TILE_ROWS rows of activations: [units][TILE_ROWS].
INLINE void pack_activations(const uint8_t *from, int64_t row_bytes, int64_t rows, int64_t bytes, float *to) {
#if TILE_ROWS <= LANES
  pack_rows(from, row_bytes, rows, bytes, to, TILE_ROWS);
#else
  for (int64_t r = 0; r < TILE_ROWS; r += LANES)
    pack_rows(from + r * row_bytes, row_bytes, dso_min_i64(rows > r ? rows - r : 0, LANES), bytes, to + r, TILE_ROWS);
#endif
}

#endif
