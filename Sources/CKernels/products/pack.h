/// Packing for the products: rows of 32-bit units become panels in which the units of neighbouring rows lie side by side.
#ifndef DSO_PACK_H
#define DSO_PACK_H

#include "../quantization/codes.h"
#include "bfloat16.h"

/// What is packed: units as they are, or floats that are rounded to bfloat16 on the way.
typedef enum { PACK_AS_IT_IS, PACK_ROUNDING } packing;

/// Bytes of a unit before it is packed.
INLINE int64_t unit_bytes(packing how) { return how == PACK_ROUNDING ? 4 * BF16_PER_UNIT : 4; }

INLINE VF whole_units(packing how, const uint8_t *from) {
  const float *at = (const float *)(const void *)from;
  return how == PACK_ROUNDING ? round_units(at) : vf_load(at);
}

/// Up to LANES units of a row that has `bytes` bytes left, the rest zero.
INLINE VF load_units(packing how, const uint8_t *from, int64_t bytes) {
  if (bytes >= unit_bytes(how) * LANES) return whole_units(how, from);
  if (bytes <= 0) return vf_zero();
  float units[LANES * BF16_PER_UNIT] = {0};
  memcpy(units, from, (size_t)bytes);
  return whole_units(how, (const uint8_t *)units);
}

/// Whole squares of pack_rows_how. `rows` is a constant where it is called, so that no load is conditional.
INLINE int64_t pack_squares(packing how, const uint8_t *from, int64_t row_bytes, int rows, int64_t units, float *to, int64_t pitch) {
  int64_t u = 0;
  for (; u + LANES <= units; u += LANES) {
    VF square[LANES];
#pragma clang loop unroll(full)
    for (int r = 0; r < LANES; r++) square[r] = r < rows ? whole_units(how, from + r * row_bytes + unit_bytes(how) * u) : vf_zero();
    vf_transpose(square);
    for (int i = 0; i < LANES; i++) vf_store(to + (u + i) * pitch, square[i]);
  }
  return u;
}

/// Unit u of row r goes to to[u * pitch + r], for `rows` <= LANES rows of `bytes` bytes; missing rows and bytes are zero.
/// Writes LANES units at a time in rising order, so what is written beyond `pitch` is either written again or in the area's slack.
INLINE void pack_rows_how(packing how, const uint8_t *from, int64_t row_bytes, int64_t rows, int64_t bytes, float *to, int64_t pitch) {
  int64_t size = unit_bytes(how), units = (bytes + size - 1) / size, u = 0;
  if (rows == LANES) {
    u = pack_squares(how, from, row_bytes, LANES, bytes / size, to, pitch);
  } else if (rows == TILE_ROWS) {
    u = pack_squares(how, from, row_bytes, TILE_ROWS < LANES ? TILE_ROWS : LANES, bytes / size, to, pitch);
  }
  for (; u < units; u += LANES) {
    VF square[LANES];
    for (int r = 0; r < LANES; r++)
      square[r] = r < rows ? load_units(how, from + r * row_bytes + size * u, bytes - size * u) : vf_zero();
    vf_transpose(square);
    for (int i = 0; i < dso_min_i64(LANES, units - u); i++) vf_store(to + (u + i) * pitch, square[i]);
  }
}

INLINE void pack_rows(const uint8_t *from, int64_t row_bytes, int64_t rows, int64_t bytes, float *to, int64_t pitch) {
  pack_rows_how(PACK_AS_IT_IS, from, row_bytes, rows, bytes, to, pitch);
}

/// A panel of TILE_ROWS rows of activations: [units][TILE_ROWS].
INLINE void pack_activations_how(packing how, const uint8_t *from, int64_t row_bytes, int64_t rows, int64_t bytes, float *to) {
#if TILE_ROWS <= LANES
  pack_rows_how(how, from, row_bytes, rows, bytes, to, TILE_ROWS);
#else
  for (int64_t r = 0; r < TILE_ROWS; r += LANES)
    pack_rows_how(how, from + r * row_bytes, row_bytes, dso_min_i64(rows > r ? rows - r : 0, LANES), bytes, to + r, TILE_ROWS);
#endif
}

INLINE void pack_activations(const uint8_t *from, int64_t row_bytes, int64_t rows, int64_t bytes, float *to) {
  pack_activations_how(PACK_AS_IT_IS, from, row_bytes, rows, bytes, to);
}

#endif
