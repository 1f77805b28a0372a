/// Packs blocks of weights of any storage for one kind of unit.
#ifndef DSO_WEIGHTS_H
#define DSO_WEIGHTS_H

#include "../quantization/dequantize.h"

/// Elements begin..<begin+count of a weight row as floats; `codes` is room for count bytes.
INLINE void decode_floats(const dso_weights *w, int64_t row, int64_t begin, int64_t count, uint8_t *codes, float *out) {
  const uint8_t *data = dso_weight_row(w, row);
  switch (w->storage) {
    case DSO_STORAGE_F32: memcpy(out, data + 4 * begin, (size_t)count * sizeof *out); return;
    case DSO_STORAGE_BF16: DSO_KERNEL(convert_bf16_to_f32)(data + 2 * begin, out, count); return;
    case DSO_STORAGE_F16: DSO_KERNEL(convert_f16_to_f32)(data + 2 * begin, out, count); return;
    case DSO_STORAGE_QUANTIZED: dequantize_run(w, row, begin, count, codes, out); return;
  }
}

/// A panel of TILE_COLUMNS rows of weights from `row` on (those before `row_end`), elements begin..<begin+count, in units of `kind`.
static void pack_float_weights(const dso_weights *w, unit_kind kind, int64_t row, int64_t row_end, int64_t begin, int64_t count,
                               uint8_t *decoded, float *to) {
  int direct = (kind == UNITS_F32 && w->storage == DSO_STORAGE_F32) ||
               (kind == UNITS_BF16 && BF16_PER_UNIT == 2 && w->storage == DSO_STORAGE_BF16);
  for (int64_t part = 0; part < TILE_COLUMNS; part += LANES) {
    int64_t rows = dso_min_i64(LANES, row_end - row - part);
    if (rows < 0) rows = 0;
    if (direct) {
      int64_t size = kind == UNITS_F32 ? 4 : 2;
      const uint8_t *from = rows > 0 ? dso_weight_row(w, row + part) + size * begin : decoded;
      pack_rows(from, w->row_bytes, rows, size * count, to + part, TILE_COLUMNS);
      continue;
    }
    if (kind == UNITS_BF16 && w->storage == DSO_STORAGE_F32) {
      const uint8_t *from = rows > 0 ? dso_weight_row(w, row + part) + 4 * begin : decoded;
      pack_rows_how(PACK_ROUNDING, from, w->row_bytes, rows, 4 * count, to + part, TILE_COLUMNS);
      continue;
    }
    enum { PITCH = DSO_BLOCK_UNITS * 2 * 4 };
    uint8_t *codes = decoded + LANES * PITCH;
    for (int64_t r = 0; r < rows; r++)
      decode_floats(w, row + part + r, begin, count, codes, (float *)(void *)(decoded + r * PITCH));
    if (kind == UNITS_BF16 && w->storage != DSO_STORAGE_BF16) {
      pack_rows_how(PACK_ROUNDING, decoded, PITCH, rows, 4 * count, to + part, TILE_COLUMNS);
    } else {
      pack_rows(decoded, PITCH, rows, 4 * count, to + part, TILE_COLUMNS);
    }
  }
}

/// The same for codes: one group of a panel.
INLINE void pack_codes_of_group(const dso_weights *w, int64_t row, int64_t row_end, int64_t begin, int64_t count, uint8_t *decoded,
                                float *to) {
  enum { PITCH = DSO_LONGEST_GROUP * CODE_BYTES };
  for (int64_t part = 0; part < TILE_COLUMNS; part += LANES) {
    int64_t rows = dso_min_i64(LANES, row_end - row - part);
    if (rows < 0) rows = 0;
    if (CODES_UNSIGNED && w->bits == 8) {
      const uint8_t *from = rows > 0 ? dso_weight_row(w, row + part) + begin : decoded;
      pack_rows(from, w->row_bytes, rows, count, to + part, TILE_COLUMNS);
      continue;
    }
    uint8_t *codes = decoded + LANES * PITCH;
    for (int64_t r = 0; r < rows; r++) {
      const uint8_t *data = dso_weight_row(w, row + part + r);
      if (CODES_UNSIGNED) {
        unpack_run(data, w->k, w->bits, begin, count, decoded + r * PITCH);
      } else {
        unpack_run(data, w->k, w->bits, begin, count, codes);
        center_codes(codes, count, 1 << (w->bits - 1), decoded + r * PITCH);
      }
    }
#ifdef UNITS_IN_PAIRS
    pack_pairs(decoded, PITCH, LANES, rows, count, to + 2 * part, TILE_COLUMNS);
#else
    pack_rows(decoded, PITCH, rows, count * CODE_BYTES, to + part, TILE_COLUMNS);
#endif
  }
}

#endif
