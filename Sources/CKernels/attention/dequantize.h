/// Codes of the int8 cache back to floats, for the variant whose vectors are included before this file.
#ifndef DSO_ATTENTION_DEQUANTIZE_H
#define DSO_ATTENTION_DEQUANTIZE_H

/// Codes p[0..<n] as floats, the rest zero. Reads no further.
INLINE VF load_codes(const int8_t *p, int64_t n) {
  if (n >= LANES) return vf_of_vi(vi_load_s8(p));
  int8_t few[LANES] = {0};
  memcpy(few, p, (size_t)n);
  return vf_of_vi(vi_load_s8(few));
}

/// `count` tokens from `first` on as floats, [count, dim].
static void dequantize_tokens(const dso_quantized_head *from, int64_t first, int64_t count, int64_t dim, float *to) {
  for (int64_t j = 0; j < count; j++, to += dim) {
    const int8_t *codes = from->codes + (first + j) * from->ld;
    VF scale = vf_set(from->scales[(first + j) * from->ld_scales]);
    for (int64_t i = 0; i < dim; i += LANES) {
      VF v = vf_mul(load_codes(codes + i, dim - i), scale);
      if (dim - i >= LANES) vf_store(to + i, v);
      else vf_store_n(to + i, v, dim - i);
    }
  }
}

#endif
