/// The vectors of the AVX-512 variants: 16 floats. The same operations, by name and meaning, as its two siblings.
#ifndef DSO_VECTORS_H
#define DSO_VECTORS_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "../dispatch/kernel_table.h"

#define DSO_KERNEL(name) dso_avx512_##name
#define LANES 16

#pragma clang attribute push( \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx512vbmi"))), apply_to = function)
#define INLINE static inline __attribute__((always_inline, unused))

typedef __m512 VF;
typedef __m512i VI;
typedef __m512d VD;

INLINE __mmask16 v_first(int64_t n) { return (__mmask16)((1u << n) - 1u); }

INLINE VF vf_zero(void) { return _mm512_setzero_ps(); }
INLINE VF vf_set(float x) { return _mm512_set1_ps(x); }
INLINE VF vf_load(const float *p) { return _mm512_loadu_ps(p); }
INLINE void vf_store(float *p, VF v) { _mm512_storeu_ps(p, v); }
INLINE VF vf_load_n(const float *p, int64_t n) { return _mm512_maskz_loadu_ps(v_first(n), p); }
INLINE void vf_store_n(float *p, VF v, int64_t n) { _mm512_mask_storeu_ps(p, v_first(n), v); }
INLINE VF vf_add(VF a, VF b) { return _mm512_add_ps(a, b); }
INLINE VF vf_sub(VF a, VF b) { return _mm512_sub_ps(a, b); }
INLINE VF vf_mul(VF a, VF b) { return _mm512_mul_ps(a, b); }
INLINE VF vf_div(VF a, VF b) { return _mm512_div_ps(a, b); }
INLINE VF vf_fma(VF a, VF b, VF c) { return _mm512_fmadd_ps(a, b, c); }
INLINE VF vf_fnma(VF a, VF b, VF c) { return _mm512_fnmadd_ps(a, b, c); }
INLINE VF vf_max(VF a, VF b) { return _mm512_max_ps(a, b); }
INLINE VF vf_min(VF a, VF b) { return _mm512_min_ps(a, b); }
INLINE VF vf_sqrt(VF a) { return _mm512_sqrt_ps(a); }
INLINE VF vf_abs(VF a) { return _mm512_abs_ps(a); }
INLINE VF vf_round(VF a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE VF vf_ldexp(VF a, VF n) { return _mm512_scalef_ps(a, n); }
INLINE VF vf_where_less(VF a, VF b, VF yes, VF no) { return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes); }
INLINE float vf_sum(VF a) { return _mm512_reduce_add_ps(a); }
INLINE float vf_largest(VF a) { return _mm512_reduce_max_ps(a); }
INLINE float vf_smallest(VF a) { return _mm512_reduce_min_ps(a); }
INLINE int vf_outside(VF a, VF low, VF high, int64_t n) {
  __mmask16 inside = _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(a, low, _CMP_GE_OQ), a, high, _CMP_LE_OQ);
  return __builtin_popcount((unsigned)(__mmask16)~inside & ((1u << n) - 1u));
}

INLINE VI vi_zero(void) { return _mm512_setzero_si512(); }
INLINE VI vi_set(int32_t x) { return _mm512_set1_epi32(x); }
INLINE VI vi_load(const void *p) { return _mm512_loadu_si512(p); }
INLINE void vi_store(void *p, VI v) { _mm512_storeu_si512(p, v); }
INLINE VI vi_add(VI a, VI b) { return _mm512_add_epi32(a, b); }
INLINE VI vi_sub(VI a, VI b) { return _mm512_sub_epi32(a, b); }
INLINE VI vi_mul(VI a, VI b) { return _mm512_mullo_epi32(a, b); }
INLINE VI vi_shift_left(VI a, int n) { return _mm512_sll_epi32(a, _mm_cvtsi32_si128(n)); }
INLINE VI vi_and(VI a, VI b) { return _mm512_and_si512(a, b); }
INLINE VI vi_shift_right(VI a, int n) { return _mm512_srl_epi32(a, _mm_cvtsi32_si128(n)); }
INLINE int32_t vi_sum(VI a) { return _mm512_reduce_add_epi32(a); }
INLINE VI vi_of_vf(VF a) { return _mm512_cvtps_epi32(a); }
INLINE VF vf_of_vi(VI a) { return _mm512_cvtepi32_ps(a); }
INLINE VF vf_cast(VI a) { return _mm512_castsi512_ps(a); }
INLINE VI vi_cast(VF a) { return _mm512_castps_si512(a); }

/// A table of 16 floats, looked up by the low four bits of every lane.
typedef __m512 VT;
INLINE VT vt_load(const float *p) { return _mm512_loadu_ps(p); }
INLINE VF vf_look_up(VT table, VI i) { return _mm512_permutexvar_ps(i, table); }

INLINE VI vi_load_u8(const void *p) { return _mm512_cvtepu8_epi32(_mm_loadu_si128(p)); }
INLINE VI vi_load_s8(const void *p) { return _mm512_cvtepi8_epi32(_mm_loadu_si128(p)); }
INLINE void vi_store_8(void *p, VI v) { _mm_storeu_si128(p, _mm512_cvtepi32_epi8(v)); }
INLINE void vi_store_16(void *p, VI v) { _mm256_storeu_si256(p, _mm512_cvtepi32_epi16(v)); }
INLINE VF vf_load_bf16(const void *p) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(p)), 16));
}
INLINE VF vf_load_f16(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256(p)); }
INLINE void vf_store_f16(void *p, VF v) {
  _mm256_storeu_si256(p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
// Not vcvtneps2bf16, which takes denormals for zero.
INLINE void vf_store_bf16(void *p, VF v) {
  VI bits = _mm512_castps_si512(v);
  VI odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  VI rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  rounded = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
  _mm256_storeu_si256(p, _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
}

INLINE VD vd_zero(void) { return _mm512_setzero_pd(); }
INLINE VD vd_set(double x) { return _mm512_set1_pd(x); }
INLINE VD vd_load(const void *p) { return _mm512_loadu_pd(p); }
INLINE VD vd_add(VD a, VD b) { return _mm512_add_pd(a, b); }
INLINE VD vd_sub(VD a, VD b) { return _mm512_sub_pd(a, b); }
INLINE VD vd_mul(VD a, VD b) { return _mm512_mul_pd(a, b); }
INLINE VD vd_div(VD a, VD b) { return _mm512_div_pd(a, b); }
INLINE VD vd_fma(VD a, VD b, VD c) { return _mm512_fmadd_pd(a, b, c); }
INLINE VD vd_fnma(VD a, VD b, VD c) { return _mm512_fnmadd_pd(a, b, c); }
INLINE VD vd_max(VD a, VD b) { return _mm512_max_pd(a, b); }
INLINE VD vd_min(VD a, VD b) { return _mm512_min_pd(a, b); }
INLINE VD vd_round(VD a) { return _mm512_roundscale_pd(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
INLINE VD vd_ldexp(VD a, VD n) { return _mm512_scalef_pd(a, n); }
INLINE VD vd_zero_where_zero(VD value, VD p) {
  return _mm512_maskz_mov_pd(_mm512_cmp_pd_mask(p, _mm512_setzero_pd(), _CMP_NEQ_UQ), value);
}
INLINE double vd_sum(VD a) { return _mm512_reduce_add_pd(a); }
INLINE VD vd_low(VF a) { return _mm512_cvtps_pd(_mm512_castps512_ps256(a)); }
INLINE VD vd_high(VF a) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1)); }
INLINE VF vf_of_vd(VD low, VD high) {
  return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)), _mm512_cvtpd_ps(high), 1);
}

/// Even and odd elements of the 32 floats a, b; and back.
INLINE void vf_split_pairs(VF a, VF b, VF *even, VF *odd) {
  VI e = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  *even = _mm512_permutex2var_ps(a, e, b);
  *odd = _mm512_permutex2var_ps(a, _mm512_add_epi32(e, _mm512_set1_epi32(1)), b);
}
INLINE void vf_join_pairs(VF even, VF odd, VF *a, VF *b) {
  VI low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  *a = _mm512_permutex2var_ps(even, low, odd);
  *b = _mm512_permutex2var_ps(even, _mm512_add_epi32(low, _mm512_set1_epi32(8)), odd);
}

/// The square of LANES x LANES elements, in place: pairs, then quads, then the four 128-bit quarters.
INLINE void vf_transpose(VF r[LANES]) {
  VF t[LANES];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    VD a = _mm512_castps_pd(t[i]), b = _mm512_castps_pd(t[i + 1]), c = _mm512_castps_pd(t[i + 2]), d = _mm512_castps_pd(t[i + 3]);
    r[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
    r[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
    r[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
    r[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
  }
  for (int i = 0; i < 4; i++) {
    VF ab_low = _mm512_shuffle_f32x4(r[i], r[i + 4], 0x88), ab_high = _mm512_shuffle_f32x4(r[i], r[i + 4], 0xdd);
    VF cd_low = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0x88), cd_high = _mm512_shuffle_f32x4(r[i + 8], r[i + 12], 0xdd);
    t[i] = _mm512_shuffle_f32x4(ab_low, cd_low, 0x88);
    t[i + 8] = _mm512_shuffle_f32x4(ab_low, cd_low, 0xdd);
    t[i + 4] = _mm512_shuffle_f32x4(ab_high, cd_high, 0x88);
    t[i + 12] = _mm512_shuffle_f32x4(ab_high, cd_high, 0xdd);
  }
  for (int i = 0; i < 16; i++) r[i] = t[i];
}

#endif
