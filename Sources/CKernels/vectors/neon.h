/// The vectors of the NEON variants: 4 floats. The same operations, by name and meaning, as its two siblings.
#ifndef DSO_VECTORS_H
#define DSO_VECTORS_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#include "../dispatch/kernel_table.h"

#define DSO_KERNEL(name) dso_neon_##name
#define LANES 4

/// Files that have more for newer processors say so before.
#ifndef NEON_FEATURES
#define NEON_FEATURES "dotprod"
#endif
#pragma clang attribute push(__attribute__((target(NEON_FEATURES))), apply_to = function)
#define INLINE static inline __attribute__((always_inline, unused))

typedef float32x4_t VF;
typedef int32x4_t VI;
typedef float64x2_t VD;

INLINE VF vf_zero(void) { return vdupq_n_f32(0); }
INLINE VF vf_set(float x) { return vdupq_n_f32(x); }
INLINE VF vf_load(const float *p) { return vld1q_f32(p); }
INLINE void vf_store(float *p, VF v) { vst1q_f32(p, v); }
INLINE VF vf_load_n(const float *p, int64_t n) {
  float t[4] = {0, 0, 0, 0};
  memcpy(t, p, (size_t)n * sizeof *p);
  return vld1q_f32(t);
}
INLINE void vf_store_n(float *p, VF v, int64_t n) {
  float t[4];
  vst1q_f32(t, v);
  memcpy(p, t, (size_t)n * sizeof *p);
}
INLINE VF vf_add(VF a, VF b) { return vaddq_f32(a, b); }
INLINE VF vf_sub(VF a, VF b) { return vsubq_f32(a, b); }
INLINE VF vf_mul(VF a, VF b) { return vmulq_f32(a, b); }
INLINE VF vf_div(VF a, VF b) { return vdivq_f32(a, b); }
INLINE VF vf_fma(VF a, VF b, VF c) { return vfmaq_f32(c, a, b); }
INLINE VF vf_fnma(VF a, VF b, VF c) { return vfmsq_f32(c, a, b); }
// By comparison, for the second operand must win when either is not a number.
INLINE VF vf_max(VF a, VF b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
INLINE VF vf_min(VF a, VF b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
INLINE VF vf_sqrt(VF a) { return vsqrtq_f32(a); }
INLINE VF vf_abs(VF a) { return vabsq_f32(a); }
INLINE VF vf_round(VF a) { return vrndnq_f32(a); }
INLINE VF vf_where_less(VF a, VF b, VF yes, VF no) { return vbslq_f32(vcltq_f32(a, b), yes, no); }
INLINE float vf_sum(VF a) { return vaddvq_f32(a); }
INLINE float vf_largest(VF a) { return vmaxnmvq_f32(a); }
INLINE float vf_smallest(VF a) { return vminnmvq_f32(a); }
INLINE int vf_outside(VF a, VF low, VF high, int64_t n) {
  static const int32_t order[4] = {0, 1, 2, 3};
  uint32x4_t inside = vandq_u32(vcgeq_f32(a, low), vcleq_f32(a, high));
  uint32x4_t counted = vcltq_s32(vld1q_s32(order), vdupq_n_s32((int)n));
  return (int)vaddvq_u32(vshrq_n_u32(vbicq_u32(counted, inside), 31));
}

INLINE VI vi_zero(void) { return vdupq_n_s32(0); }
INLINE VI vi_set(int32_t x) { return vdupq_n_s32(x); }
INLINE VI vi_load(const void *p) { return vreinterpretq_s32_u8(vld1q_u8(p)); }
INLINE void vi_store(void *p, VI v) { vst1q_u8(p, vreinterpretq_u8_s32(v)); }
INLINE VI vi_add(VI a, VI b) { return vaddq_s32(a, b); }
INLINE VI vi_sub(VI a, VI b) { return vsubq_s32(a, b); }
INLINE VI vi_mul(VI a, VI b) { return vmulq_s32(a, b); }
INLINE VI vi_shift_left(VI a, int n) { return vshlq_s32(a, vdupq_n_s32(n)); }
INLINE VI vi_and(VI a, VI b) { return vandq_s32(a, b); }
INLINE VI vi_shift_right(VI a, int n) { return vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a), vdupq_n_s32(-n))); }
INLINE int32_t vi_sum(VI a) { return vaddvq_s32(a); }
INLINE VI vi_of_vf(VF a) { return vcvtnq_s32_f32(a); }
INLINE VF vf_of_vi(VI a) { return vcvtq_f32_s32(a); }
INLINE VF vf_cast(VI a) { return vreinterpretq_f32_s32(a); }
INLINE VI vi_cast(VF a) { return vreinterpretq_s32_f32(a); }
/// 2^n for whole n in -126...127.
INLINE VF vf_power(VI n) { return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23)); }
// In two factors, so that results below the normal range and just below overflow come out.
INLINE VF vf_ldexp(VF a, VF n) {
  VI whole = vcvtnq_s32_f32(n), half = vshrq_n_s32(whole, 1);
  return vmulq_f32(vmulq_f32(a, vf_power(half)), vf_power(vsubq_s32(whole, half)));
}

/// A table of 16 floats, looked up by the low four bits of every lane: as 64 bytes, four neighbouring ones for a lane.
typedef uint8x16x4_t VT;
INLINE VT vt_load(const float *p) {
  return (VT){{vreinterpretq_u8_f32(vld1q_f32(p)), vreinterpretq_u8_f32(vld1q_f32(p + 4)), vreinterpretq_u8_f32(vld1q_f32(p + 8)),
               vreinterpretq_u8_f32(vld1q_f32(p + 12))}};
}
INLINE VF vf_look_up(VT table, VI i) {
  uint32x4_t first = vandq_u32(vreinterpretq_u32_s32(i), vdupq_n_u32(15));
  uint32x4_t bytes = vmlaq_u32(vdupq_n_u32(0x03020100), first, vdupq_n_u32(0x04040404));
  return vreinterpretq_f32_u8(vqtbl4q_u8(table, vreinterpretq_u8_u32(bytes)));
}

INLINE VI vi_load_u8(const void *p) {
  uint32_t four;
  memcpy(&four, p, sizeof four);
  return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(four)))));
}
INLINE VI vi_load_s8(const void *p) {
  uint32_t four;
  memcpy(&four, p, sizeof four);
  return vmovl_s16(vget_low_s16(vmovl_s8(vcreate_s8(four))));
}
INLINE void vi_store_8(void *p, VI v) {
  int16x4_t narrow = vmovn_s32(v);
  uint32_t four = vget_lane_u32(vreinterpret_u32_s8(vmovn_s16(vcombine_s16(narrow, narrow))), 0);
  memcpy(p, &four, sizeof four);
}
INLINE void vi_store_16(void *p, VI v) { vst1_u8(p, vreinterpret_u8_s16(vmovn_s32(v))); }
INLINE uint16x4_t v_load_halves(const void *p) { return vreinterpret_u16_u8(vld1_u8(p)); }
INLINE void v_store_halves(void *p, uint16x4_t v) { vst1_u8(p, vreinterpret_u8_u16(v)); }
INLINE VF vf_load_bf16(const void *p) { return vreinterpretq_f32_u32(vshll_n_u16(v_load_halves(p), 16)); }
INLINE VF vf_load_f16(const void *p) { return vcvt_f32_f16(vreinterpret_f16_u16(v_load_halves(p))); }
INLINE void vf_store_f16(void *p, VF v) { v_store_halves(p, vreinterpret_u16_f16(vcvt_f16_f32(v))); }
INLINE void vf_store_bf16(void *p, VF v) {
  uint32x4_t bits = vreinterpretq_u32_f32(v);
  uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
  uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
  v_store_halves(p, vshrn_n_u32(vbslq_u32(vceqq_f32(v, v), rounded, quiet), 16));
}

INLINE VD vd_zero(void) { return vdupq_n_f64(0); }
INLINE VD vd_set(double x) { return vdupq_n_f64(x); }
INLINE VD vd_load(const void *p) { return vreinterpretq_f64_u8(vld1q_u8(p)); }
INLINE VD vd_add(VD a, VD b) { return vaddq_f64(a, b); }
INLINE VD vd_sub(VD a, VD b) { return vsubq_f64(a, b); }
INLINE VD vd_mul(VD a, VD b) { return vmulq_f64(a, b); }
INLINE VD vd_div(VD a, VD b) { return vdivq_f64(a, b); }
INLINE VD vd_fma(VD a, VD b, VD c) { return vfmaq_f64(c, a, b); }
INLINE VD vd_fnma(VD a, VD b, VD c) { return vfmsq_f64(c, a, b); }
INLINE VD vd_max(VD a, VD b) { return vbslq_f64(vcgtq_f64(a, b), a, b); }
INLINE VD vd_min(VD a, VD b) { return vbslq_f64(vcltq_f64(a, b), a, b); }
INLINE VD vd_round(VD a) { return vrndnq_f64(a); }
/// 2^n for whole n in -1022...1023.
INLINE VD vd_power(VD n) { return vreinterpretq_f64_s64(vshlq_n_s64(vaddq_s64(vcvtnq_s64_f64(n), vdupq_n_s64(1023)), 52)); }
INLINE VD vd_ldexp(VD a, VD n) {
  VD half = vrndnq_f64(vmulq_f64(n, vdupq_n_f64(0.5)));
  return vmulq_f64(vmulq_f64(a, vd_power(half)), vd_power(vsubq_f64(n, half)));
}
INLINE VD vd_zero_where_zero(VD value, VD p) {
  return vreinterpretq_f64_u64(vbicq_u64(vreinterpretq_u64_f64(value), vceqzq_f64(p)));
}
INLINE double vd_sum(VD a) { return vaddvq_f64(a); }
INLINE VD vd_low(VF a) { return vcvt_f64_f32(vget_low_f32(a)); }
INLINE VD vd_high(VF a) { return vcvt_high_f64_f32(a); }
INLINE VF vf_of_vd(VD low, VD high) { return vcvt_high_f32_f64(vcvt_f32_f64(low), high); }

/// Even and odd elements of the 8 floats a, b; and back.
INLINE void vf_split_pairs(VF a, VF b, VF *even, VF *odd) {
  *even = vuzp1q_f32(a, b);
  *odd = vuzp2q_f32(a, b);
}
INLINE void vf_join_pairs(VF even, VF odd, VF *a, VF *b) {
  *a = vzip1q_f32(even, odd);
  *b = vzip2q_f32(even, odd);
}

/// The square of LANES x LANES elements, in place.
INLINE void vf_transpose(VF r[LANES]) {
  float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(r[0], r[1])), b = vreinterpretq_f64_f32(vtrn2q_f32(r[0], r[1]));
  float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(r[2], r[3])), d = vreinterpretq_f64_f32(vtrn2q_f32(r[2], r[3]));
  r[0] = vreinterpretq_f32_f64(vtrn1q_f64(a, c));
  r[1] = vreinterpretq_f32_f64(vtrn1q_f64(b, d));
  r[2] = vreinterpretq_f32_f64(vtrn2q_f64(a, c));
  r[3] = vreinterpretq_f32_f64(vtrn2q_f64(b, d));
}

#endif
