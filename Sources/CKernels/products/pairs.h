/// Codes as the instruction takes them that multiplies 2 rows of 8 with 2 columns of 8: two units of a row side by side in a panel,
/// [units / 2][rows or columns][2].
#ifndef DSO_PAIRS_H
#define DSO_PAIRS_H

/// The first `bytes` (at most 16) of a row, the rest zero.
INLINE uint64x2_t load_pairs(const uint8_t *from, int64_t bytes) {
  if (bytes >= 16) return vreinterpretq_u64_u8(vld1q_u8(from));
  uint8_t padded[16] = {0};
  memcpy(padded, from, (size_t)bytes);
  return vreinterpretq_u64_u8(vld1q_u8(padded));
}

/// Bytes 8u..<8u+8 of row r go to to[2 * (u * pitch + r)], for `rows` of `height` rows (an even number) of `bytes` bytes; missing rows and bytes
/// are zero.
INLINE void pack_pairs(const uint8_t *from, int64_t row_bytes, int height, int64_t rows, int64_t bytes, float *to, int64_t pitch) {
  for (int64_t r = 0; r < height; r += 2) {
    const uint8_t *first = from + r * row_bytes, *second = first + row_bytes;
    float *at = to + 2 * r;
    for (int64_t i = 0; i < bytes; i += 16, at += 4 * pitch) {
      uint64x2_t x = r < rows ? load_pairs(first + i, bytes - i) : vdupq_n_u64(0);
      uint64x2_t y = r + 1 < rows ? load_pairs(second + i, bytes - i) : vdupq_n_u64(0);
      vst1q_f32(at, vreinterpretq_f32_u64(vzip1q_u64(x, y)));
      if (bytes - i > 8) vst1q_f32(at + 2 * pitch, vreinterpretq_f32_u64(vzip2q_u64(x, y)));
    }
  }
}

INLINE VF first_halves(VF a, VF b) { return vreinterpretq_f32_f64(vzip1q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b))); }
INLINE VF second_halves(VF a, VF b) { return vreinterpretq_f32_f64(vzip2q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b))); }
INLINE int8x16_t load_codes(const float *from) { return vreinterpretq_s8_f32(vld1q_f32(from)); }

/// acc += a panel of activations times a panel of weights. In between, a register holds two rows of two columns; of an odd number of rows, the
/// last has a companion of zeros.
INLINE void multiply_codes(int rows, const float *a, const float *b, int64_t units, VF acc[TILE_ROWS][TILE_VECTORS]) {
  enum { COLUMN_PAIRS = TILE_COLUMNS / 2 };
  VF sums[TILE_ROWS / 2][COLUMN_PAIRS];
  int row_pairs = (rows + 1) / 2;
#pragma clang loop unroll(full)
  for (int r = 0; r < row_pairs; r++) {
#pragma clang loop unroll(full)
    for (int v = 0; v < TILE_VECTORS; v++) {
      VF other = 2 * r + 1 < rows ? acc[2 * r + 1][v] : vf_zero();
      sums[r][2 * v] = first_halves(acc[2 * r][v], other);
      sums[r][2 * v + 1] = second_halves(acc[2 * r][v], other);
    }
  }
  for (int64_t u = 0; u < units; u += 2, a += 2 * TILE_ROWS, b += 2 * TILE_COLUMNS) {
    int8x16_t left[TILE_ROWS / 2];
#pragma clang loop unroll(full)
    for (int r = 0; r < row_pairs; r++) left[r] = load_codes(a + 4 * r);
#pragma clang loop unroll(full)
    for (int c = 0; c < COLUMN_PAIRS; c++) {
      int8x16_t right = load_codes(b + 4 * c);
#pragma clang loop unroll(full)
      for (int r = 0; r < row_pairs; r++) sums[r][c] = vf_cast(vmmlaq_s32(vi_cast(sums[r][c]), left[r], right));
    }
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < row_pairs; r++) {
#pragma clang loop unroll(full)
    for (int v = 0; v < TILE_VECTORS; v++) {
      acc[2 * r][v] = first_halves(sums[r][2 * v], sums[r][2 * v + 1]);
      if (2 * r + 1 < rows) acc[2 * r + 1][v] = second_halves(sums[r][2 * v], sums[r][2 * v + 1]);
    }
  }
}

#endif
