/// 16 lanes of whatever width the vectors have.
#ifndef DSO_GRID_BLOCK_H
#define DSO_GRID_BLOCK_H

enum { BLOCK_VECTORS = 16 / LANES };

/// The sum of 16 lanes: halves onto each other until one is left, the order that every width can keep.
INLINE float block_sum(const VF v[BLOCK_VECTORS]) {
  float lanes[4];
#if LANES == 16
  __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v[0]), _mm512_extractf32x8_ps(v[0], 1));
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  _mm_storeu_ps(lanes, four);
#elif LANES == 8
  VF eight = vf_add(v[0], v[1]);
  _mm_storeu_ps(lanes, _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1)));
#else
  vf_store(lanes, vf_add(vf_add(v[0], v[2]), vf_add(v[1], v[3])));
#endif
  return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}

/// log2 of a normal number above 0, within 1e-6: the mantissa by the series of artanh around the root of 2.
INLINE VF block_log2(VF x) {
  VI bits = vi_cast(x);
  VF exponent = vf_of_vi(vi_sub(vi_and(vi_shift_right(bits, 23), vi_set(255)), vi_set(127)));
  VF mantissa = vf_cast(vi_add(vi_and(bits, vi_set(0x7fffff)), vi_set(0x3f800000)));
  VF root = vf_set(0x1.6a09e6p0f), t = vf_div(vf_sub(mantissa, root), vf_add(mantissa, root)), t2 = vf_mul(t, t);
  VF series = vf_add(vf_mul(t2, vf_set(1.0f / 7)), vf_set(1.0f / 5));
  series = vf_add(vf_mul(t2, series), vf_set(1.0f / 3));
  series = vf_add(vf_mul(t2, series), vf_set(1));
  VF rest = vf_mul(vf_mul(t, series), vf_set(0x1.715476p1f));
  return vf_add(vf_add(exponent, vf_set(0.5f)), rest);
}

/// 2^x for -120...120, within 1e-6.
INLINE VF block_exp2(VF x) {
  VF whole = vf_round(x), y = vf_mul(vf_sub(x, whole), vf_set(0x1.62e43p-1f));
  VF series = vf_add(vf_mul(y, vf_set(1.0f / 720)), vf_set(1.0f / 120));
  series = vf_add(vf_mul(y, series), vf_set(1.0f / 24));
  series = vf_add(vf_mul(y, series), vf_set(1.0f / 6));
  series = vf_add(vf_mul(y, series), vf_set(0.5f));
  series = vf_add(vf_mul(y, series), vf_set(1));
  series = vf_add(vf_mul(y, series), vf_set(1));
  return vf_ldexp(series, whole);
}

#endif
