/// Products of few rows of 16-bit activations for NEON: 16 codes at once, as signed bytes, times the high and the low bytes of the
/// activations.
#if defined(__aarch64__)
#include "../vectors/neon.h"

#include "readings_s16.h"

enum {
  PLANE_BYTES = 32,  ///< 16 high bytes, 16 low ones
  WIDE_PARTS = 2,
};
/// Stored bytes less 128; narrower codes are positive as signed bytes too.
#define CODES_CENTERED 1
#define SHARED_STEPS 0
/// Loads of activations are shared by rows of weights: they cost more here than memory's rate gives.
#define SINGLE_ROWS 0

INLINE void load_step(wide_reading kind, const wide_bits *bits, const uint8_t *from, int64_t left, VI *codes, VI *odd) {
  uint8x16_t all;
  if (left >= 16) {
    all = vld1q_u8(from);
  } else {
    uint8_t rest[16] = {0};
    memcpy(rest, from, (size_t)left);
    all = vld1q_u8(rest);
  }
  if (kind == READ_BITS) {
    *codes = vreinterpretq_s32_u8(unpack_16_bytes(bits, all));
  } else if (kind == READ_CODE_BYTES) {
    *codes = vreinterpretq_s32_u8(veorq_u8(all, vdupq_n_u8(128)));
  } else {
    *codes = vreinterpretq_s32_u8(vandq_u8(all, vdupq_n_u8(15)));
    *odd = vreinterpretq_s32_u8(vshrq_n_u8(all, 4));
  }
}

/// 256 * high + low, both signed.
INLINE void store_planes(const int16_t *from, uint8_t *to) {
  int16x8_t half = vdupq_n_s16(128), first = vld1q_s16(from), second = vld1q_s16(from + 8);
  vst1q_s8((int8_t *)to, vcombine_s8(vshrn_n_s16(vaddq_s16(first, half), 8), vshrn_n_s16(vaddq_s16(second, half), 8)));
  vst1q_s8((int8_t *)to + 16, vcombine_s8(vmovn_s16(first), vmovn_s16(second)));
}

INLINE void add_codes(VI acc[WIDE_PARTS], VI codes, const uint8_t *planes) {
  acc[0] = vdotq_s32(acc[0], vreinterpretq_s8_s32(codes), vld1q_s8((const int8_t *)planes));
  acc[1] = vdotq_s32(acc[1], vreinterpretq_s8_s32(codes), vld1q_s8((const int8_t *)planes + 16));
}

INLINE VI join_parts(const VI acc[WIDE_PARTS]) { return vi_add(vshlq_n_s32(acc[0], 8), acc[1]); }

INLINE VI sum_planes(const uint8_t *planes) {
  VI acc[WIDE_PARTS] = {vi_zero(), vi_zero()};
  add_codes(acc, vreinterpretq_s32_u8(vdupq_n_u8(1)), planes);
  return join_parts(acc);
}

#include "matvec_s16.h"
#include "../vectors/end.h"
#endif
