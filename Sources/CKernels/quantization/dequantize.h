/// Codes to floats, for the variant whose vectors are included before this file.
#ifndef DSO_DEQUANTIZE_H
#define DSO_DEQUANTIZE_H

#include "unpack.h"

/// (code - offset) * scale, the subtraction exact: the same bits as the portable variant.
INLINE void scale_codes(const uint8_t *codes, int64_t count, int offset, float scale, float *out) {
  VF offsets = vf_set((float)offset), scales = vf_set(scale);
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) vf_store(out + i, vf_mul(vf_sub(vf_of_vi(vi_load_u8(codes + i)), offsets), scales));
  for (; i < count; i++) out[i] = (float)((int)codes[i] - offset) * scale;
}

/// code * scale + minimum, in two roundings: the same bits as the portable variant.
INLINE void scale_from_minimum(const uint8_t *codes, int64_t count, float scale, float minimum, float *out) {
  VF scales = vf_set(scale), minima = vf_set(minimum);
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) vf_store(out + i, vf_add(vf_mul(vf_of_vi(vi_load_u8(codes + i)), scales), minima));
  for (; i < count; i++) out[i] = (float)codes[i] * scale + minimum;
}

/// levels[code] * scale: the same bits as the portable variant.
INLINE void scale_levels(const uint8_t *codes, int64_t count, const float *levels, int bits, float scale, float *out) {
  int64_t i = 0;
  if (bits == 4) {
    VT table = vt_load(levels);
    VF scales = vf_set(scale);
    for (; i + LANES <= count; i += LANES) vf_store(out + i, vf_mul(vf_look_up(table, vi_load_u8(codes + i)), scales));
  }
  for (; i < count; i++) out[i] = levels[codes[i]] * scale;
}

/// Elements begin..<begin+count of a quantized row as floats. `codes` holds `count` bytes.
INLINE void dequantize_run(const dso_weights *w, int64_t row, int64_t begin, int64_t count, uint8_t *codes, float *out) {
  const uint8_t *data = dso_weight_row(w, row);
  if (w->bits == 8) {
    codes = (uint8_t *)(uintptr_t)(data + begin);  // only read from
  } else {
    unpack_run(data, w->k, w->bits, begin, count, codes);
  }
  int64_t groups = dso_group_count(w);
  for (int64_t i = 0; i < count;) {
    int64_t g = (begin + i) / w->group_size, end = dso_min_i64(count, (g + 1) * w->group_size - begin);
    int offset = (1 << (w->bits - 1)) + (w->zero_points ? w->zero_points[row * groups + g] : 0);
    if (w->minima) {
      scale_from_minimum(codes + i, end - i, w->scales[row * groups + g], w->minima[row * groups + g], out + i);
    } else if (w->levels) {
      scale_levels(codes + i, end - i, w->levels, w->bits, w->scales[row * groups + g], out + i);
    } else {
      scale_codes(codes + i, end - i, offset, w->scales[row * groups + g], out + i);
    }
    i = end;
  }
}

#endif
