/// Eight-bit floats, for the variant whose vectors are included before this file: the bits of the portable one.
#ifndef DSO_FLOAT8_VECTOR_H
#define DSO_FLOAT8_VECTOR_H

#include <math.h>

/// What LANES codes of E4M3 stand for. Subnormal ones are whole numbers of 2^-9; a float made of their bits would be subnormal itself, which
/// some processors are slow with.
INLINE VF e4m3_values(VI codes) {
  VI low = vi_and(codes, vi_set(0x7f)), sign = vi_shift_left(vi_and(codes, vi_set(0x80)), 24);
  VF place = vf_of_vi(low), normal = vf_cast(vi_add(vi_shift_left(low, 20), vi_set(120 << 23)));
  VF size = vf_where_less(place, vf_set(8), vf_mul(place, vf_set(0x1p-9f)), normal);
  return vf_where_less(vf_set(126.5f), place, vf_set(NAN), vf_cast(vi_add(vi_cast(size), sign)));
}

void DSO_KERNEL(dequantize_e4m3_blocks)(const uint8_t *codes, int64_t first, int64_t last, int64_t columns, const float *scales,
                                        int64_t ld_scales, int64_t block_rows, int64_t block_columns, float *out) {
  for (int64_t r = first; r < last; r++, out += columns) {
    const uint8_t *row = codes + r * columns;
    const float *row_scales = scales + r / block_rows * ld_scales;
    for (int64_t begin = 0; begin < columns; begin += block_columns) {
      int64_t end = begin + block_columns < columns ? begin + block_columns : columns, c = begin;
      VF scale = vf_set(row_scales[begin / block_columns]);
      for (; c + LANES <= end; c += LANES) vf_store(out + c, vf_mul(e4m3_values(vi_load_u8(row + c)), scale));
      if (c == end) continue;
      uint8_t rest[LANES] = {0};
      memcpy(rest, row + c, (size_t)(end - c));
      vf_store_n(out + c, vf_mul(e4m3_values(vi_load_u8(rest)), scale), end - c);
    }
  }
}

#endif
