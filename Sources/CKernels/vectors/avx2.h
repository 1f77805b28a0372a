/// The vectors of the AVX2 variants: 8 floats. The same operations, by name and meaning, as its two siblings.
#ifndef DSO_VECTORS_H
#define DSO_VECTORS_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "../dispatch/kernel_table.h"

#define DSO_KERNEL(name) dso_avx2_##name
#define LANES 8

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#define INLINE static inline __attribute__((always_inline, unused))

typedef __m256 VF;
typedef __m256i VI;
typedef __m256d VD;

INLINE VI v_first(int64_t n) { return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)); }

INLINE VF vf_zero(void) { return _mm256_setzero_ps(); }
INLINE VF vf_set(float x) { return _mm256_set1_ps(x); }
INLINE VF vf_load(const float *p) { return _mm256_loadu_ps(p); }
INLINE void vf_store(float *p, VF v) { _mm256_storeu_ps(p, v); }
INLINE VF vf_load_n(const float *p, int64_t n) { return _mm256_maskload_ps(p, v_first(n)); }
INLINE void vf_store_n(float *p, VF v, int64_t n) { _mm256_maskstore_ps(p, v_first(n), v); }
INLINE VF vf_add(VF a, VF b) { return _mm256_add_ps(a, b); }
INLINE VF vf_sub(VF a, VF b) { return _mm256_sub_ps(a, b); }
INLINE VF vf_mul(VF a, VF b) { return _mm256_mul_ps(a, b); }
INLINE VF vf_div(VF a, VF b) { return _mm256_div_ps(a, b); }
INLINE VF vf_fma(VF a, VF b, VF c) { return _mm256_fmadd_ps(a, b, c); }
INLINE VF vf_fnma(VF a, VF b, VF c) { return _mm256_fnmadd_ps(a, b, c); }
INLINE VF vf_max(VF a, VF b) { return _mm256_max_ps(a, b); }
INLINE VF vf_min(VF a, VF b) { return _mm256_min_ps(a, b); }
INLINE VF vf_sqrt(VF a) { return _mm256_sqrt_ps(a); }
INLINE VF vf_abs(VF a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
INLINE VF vf_round(VF a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE VF vf_where_less(VF a, VF b, VF yes, VF no) { return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ)); }
INLINE float vf_sum(VF a) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
INLINE float vf_largest(VF a) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}
INLINE float vf_smallest(VF a) {
  __m128 s = _mm_min_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  s = _mm_min_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_min_ss(s, _mm_movehdup_ps(s)));
}
INLINE int vf_outside(VF a, VF low, VF high, int64_t n) {
  VF inside = _mm256_and_ps(_mm256_cmp_ps(a, low, _CMP_GE_OQ), _mm256_cmp_ps(a, high, _CMP_LE_OQ));
  return __builtin_popcount(~(unsigned)_mm256_movemask_ps(inside) & ((1u << n) - 1u));
}

INLINE VI vi_zero(void) { return _mm256_setzero_si256(); }
INLINE VI vi_set(int32_t x) { return _mm256_set1_epi32(x); }
INLINE VI vi_load(const void *p) { return _mm256_loadu_si256(p); }
INLINE void vi_store(void *p, VI v) { _mm256_storeu_si256(p, v); }
INLINE VI vi_add(VI a, VI b) { return _mm256_add_epi32(a, b); }
INLINE VI vi_sub(VI a, VI b) { return _mm256_sub_epi32(a, b); }
INLINE VI vi_mul(VI a, VI b) { return _mm256_mullo_epi32(a, b); }
INLINE VI vi_shift_left(VI a, int n) { return _mm256_sll_epi32(a, _mm_cvtsi32_si128(n)); }
INLINE VI vi_and(VI a, VI b) { return _mm256_and_si256(a, b); }
INLINE VI vi_shift_right(VI a, int n) { return _mm256_srl_epi32(a, _mm_cvtsi32_si128(n)); }
INLINE int32_t vi_sum(VI a) {
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}
INLINE VI vi_of_vf(VF a) { return _mm256_cvtps_epi32(a); }
INLINE VF vf_of_vi(VI a) { return _mm256_cvtepi32_ps(a); }
INLINE VF vf_cast(VI a) { return _mm256_castsi256_ps(a); }
INLINE VI vi_cast(VF a) { return _mm256_castps_si256(a); }
/// 2^n for whole n in -126...127.
INLINE VF vf_power(VI n) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23)); }
// In two factors, so that results below the normal range and just below overflow come out.
INLINE VF vf_ldexp(VF a, VF n) {
  VI whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
  return _mm256_mul_ps(_mm256_mul_ps(a, vf_power(half)), vf_power(_mm256_sub_epi32(whole, half)));
}

/// A table of 16 floats, looked up by the low four bits of every lane: the permutation takes three of them, the fourth chooses its half.
typedef struct {
  __m256 low, high;
} VT;
INLINE VT vt_load(const float *p) { return (VT){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
INLINE VF vf_look_up(VT table, VI i) {
  VF low = _mm256_permutevar8x32_ps(table.low, i), high = _mm256_permutevar8x32_ps(table.high, i);
  return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(i, 28)));
}

INLINE VI vi_load_u8(const void *p) { return _mm256_cvtepu8_epi32(_mm_loadl_epi64(p)); }
INLINE VI vi_load_s8(const void *p) { return _mm256_cvtepi8_epi32(_mm_loadl_epi64(p)); }
INLINE void vi_store_8(void *p, VI v) {
  VI spread = _mm256_shuffle_epi8(v, _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 4, 8,
                                                      12, -1, -1, -1, -1, -1, -1, -1, -1));
  _mm_storel_epi64(p, _mm_or_si128(_mm256_castsi256_si128(spread), _mm256_extracti128_si256(spread, 1)));
}
INLINE void vi_store_16(void *p, VI v) {
  _mm_storeu_si128(p, _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)));
}
INLINE VF vf_load_bf16(const void *p) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(p)), 16)); }
INLINE VF vf_load_f16(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128(p)); }
INLINE void vf_store_f16(void *p, VF v) { _mm_storeu_si128(p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)); }
INLINE VI v_bf16_bits(VF v) {
  VI bits = _mm256_castps_si256(v);
  VI odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  VI rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  VI quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  VF nan = _mm256_cmp_ps(v, v, _CMP_UNORD_Q);
  return _mm256_srli_epi32(_mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(rounded), _mm256_castsi256_ps(quiet), nan)), 16);
}
INLINE void vf_store_bf16(void *p, VF v) {
  VI bits = v_bf16_bits(v);
  _mm_storeu_si128(p, _mm_packus_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1)));
}

INLINE VD vd_zero(void) { return _mm256_setzero_pd(); }
INLINE VD vd_set(double x) { return _mm256_set1_pd(x); }
INLINE VD vd_load(const void *p) { return _mm256_loadu_pd(p); }
INLINE VD vd_add(VD a, VD b) { return _mm256_add_pd(a, b); }
INLINE VD vd_sub(VD a, VD b) { return _mm256_sub_pd(a, b); }
INLINE VD vd_mul(VD a, VD b) { return _mm256_mul_pd(a, b); }
INLINE VD vd_div(VD a, VD b) { return _mm256_div_pd(a, b); }
INLINE VD vd_fma(VD a, VD b, VD c) { return _mm256_fmadd_pd(a, b, c); }
INLINE VD vd_fnma(VD a, VD b, VD c) { return _mm256_fnmadd_pd(a, b, c); }
INLINE VD vd_max(VD a, VD b) { return _mm256_max_pd(a, b); }
INLINE VD vd_min(VD a, VD b) { return _mm256_min_pd(a, b); }
INLINE VD vd_round(VD a) { return _mm256_round_pd(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
/// 2^n for whole n in -1022...1023: the sum with 1.5 * 2^52 leaves the integer in the low bits.
INLINE VD vd_power(VD n) {
  return _mm256_castsi256_pd(_mm256_slli_epi64(_mm256_castpd_si256(_mm256_add_pd(n, _mm256_set1_pd(0x1.8p52 + 1023))), 52));
}
INLINE VD vd_ldexp(VD a, VD n) {
  VD half = vd_round(_mm256_mul_pd(n, _mm256_set1_pd(0.5)));
  return _mm256_mul_pd(_mm256_mul_pd(a, vd_power(half)), vd_power(_mm256_sub_pd(n, half)));
}
INLINE VD vd_zero_where_zero(VD value, VD p) { return _mm256_and_pd(_mm256_cmp_pd(p, _mm256_setzero_pd(), _CMP_NEQ_UQ), value); }
INLINE double vd_sum(VD a) {
  __m128d s = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
  return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}
INLINE VD vd_low(VF a) { return _mm256_cvtps_pd(_mm256_castps256_ps128(a)); }
INLINE VD vd_high(VF a) { return _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1)); }
INLINE VF vf_of_vd(VD low, VD high) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(low)), _mm256_cvtpd_ps(high), 1);
}

/// Even and odd elements of the 16 floats a, b; and back.
INLINE void vf_split_pairs(VF a, VF b, VF *even, VF *odd) {
  VF low = _mm256_permute2f128_ps(a, b, 0x20), high = _mm256_permute2f128_ps(a, b, 0x31);
  VF e = _mm256_shuffle_ps(low, high, 0x88), o = _mm256_shuffle_ps(low, high, 0xdd);
  // Each half holds (a low, a high) and (b low, b high) already in order.
  *even = e;
  *odd = o;
}
INLINE void vf_join_pairs(VF even, VF odd, VF *a, VF *b) {
  VF low = _mm256_unpacklo_ps(even, odd), high = _mm256_unpackhi_ps(even, odd);
  *a = _mm256_permute2f128_ps(low, high, 0x20);
  *b = _mm256_permute2f128_ps(low, high, 0x31);
}

/// The square of LANES x LANES elements, in place.
INLINE void vf_transpose(VF r[LANES]) {
  VF t[LANES];
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
    r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
  for (int i = 0; i < 4; i++) {
    t[i] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x20);
    t[i + 4] = _mm256_permute2f128_ps(r[i], r[i + 4], 0x31);
  }
  for (int i = 0; i < 8; i++) r[i] = t[i];
}

#endif
