/// Codes out of a bit stream, for the variant whose vectors are included before this file.
#ifndef DSO_UNPACK_H
#define DSO_UNPACK_H

#include "codes.h"

/// How 16 codes are taken out of the 2*bits bytes that hold them: each 16-bit lane takes the two bytes its code touches, a
/// multiplication moves the code to the lane's high byte, from where it is shifted down and masked.
typedef struct {
  uint8_t bytes[32];
  uint16_t factors[16];
  int bits;
} unpack_plan;

#define PLAN_AT(bits, i) ((i) * (bits) >> 3)
#define PLAN_PAIR(bits, i) PLAN_AT(bits, i), (PLAN_AT(bits, i) < 2 * (bits) - 1 ? PLAN_AT(bits, i) + 1 : 2 * (bits) - 1)
#define PLAN_FACTOR(bits, i) 1u << (8 - ((i) * (bits) & 7))
#define PLAN_16(of, bits)                                                                                                       \
  {of(bits, 0), of(bits, 1), of(bits, 2), of(bits, 3), of(bits, 4), of(bits, 5), of(bits, 6), of(bits, 7), of(bits, 8), of(bits, 9), \
   of(bits, 10), of(bits, 11), of(bits, 12), of(bits, 13), of(bits, 14), of(bits, 15)}
#define PLAN(bits) {PLAN_16(PLAN_PAIR, bits), PLAN_16(PLAN_FACTOR, bits), bits}
/// Of 2 to 7 bits.
static const unpack_plan unpack_plans[6] __attribute__((unused)) = {PLAN(2), PLAN(3), PLAN(4), PLAN(5), PLAN(6), PLAN(7)};
#undef PLAN
#undef PLAN_16
#undef PLAN_FACTOR
#undef PLAN_PAIR
#undef PLAN_AT

INLINE unpack_plan plan_unpacking(int bits) { return unpack_plans[bits < 8 ? bits - 2 : 0]; }

#if defined(__x86_64__)
/// 16 codes of the first bytes of 16, as 16-bit integers.
INLINE __m256i unpack_16_wide(const unpack_plan *plan, __m128i from) {
  __m256i pairs = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(from), _mm256_loadu_si256((const __m256i *)plan->bytes));
  __m256i moved = _mm256_srli_epi16(_mm256_mullo_epi16(pairs, _mm256_loadu_si256((const __m256i *)plan->factors)), 8);
  return _mm256_and_si256(moved, _mm256_set1_epi16((short)((1 << plan->bits) - 1)));
}
#else
/// 16 codes of the first bytes of 16, as bytes.
INLINE uint8x16_t unpack_16_bytes(const unpack_plan *plan, uint8x16_t from) {
  uint16x8_t mask = vdupq_n_u16((uint16_t)((1 << plan->bits) - 1));
  uint16x8_t low = vreinterpretq_u16_u8(vqtbl1q_u8(from, vld1q_u8(plan->bytes)));
  uint16x8_t high = vreinterpretq_u16_u8(vqtbl1q_u8(from, vld1q_u8(plan->bytes + 16)));
  low = vandq_u16(vshrq_n_u16(vmulq_u16(low, vld1q_u16(plan->factors)), 8), mask);
  high = vandq_u16(vshrq_n_u16(vmulq_u16(high, vld1q_u16(plan->factors + 8)), 8), mask);
  return vcombine_u8(vmovn_u16(low), vmovn_u16(high));
}
#endif

/// Reads 16 bytes, writes 16 codes.
INLINE void unpack_16(const unpack_plan *plan, const uint8_t *from, uint8_t *to) {
#if defined(__x86_64__)
  __m256i codes = unpack_16_wide(plan, _mm_loadu_si128((const __m128i *)from));
  _mm_storeu_si128((__m128i *)to, _mm_packus_epi16(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1)));
#else
  vst1q_u8(to, unpack_16_bytes(plan, vld1q_u8(from)));
#endif
}

#if LANES == 16
/// How 64 codes are taken out of the 8*bits bytes that hold them: every 64-bit lane gets the bytes of its 8 codes, from which each byte
/// takes the eight bits that begin with its code.
typedef struct {
  __m512i bytes, shifts, mask;
  __mmask64 read;
  int bits;
} unpack_64_plan;

INLINE unpack_64_plan plan_unpacking_64(int bits) {
  const long long ones = 0x0101010101010101, rising = 0x0706050403020100;
  __m512i lanes = _mm512_setr_epi64(0, ones, 2 * ones, 3 * ones, 4 * ones, 5 * ones, 6 * ones, 7 * ones);
  return (unpack_64_plan){_mm512_add_epi64(_mm512_mullo_epi64(lanes, _mm512_set1_epi64(bits)), _mm512_set1_epi64(rising)),
                          _mm512_set1_epi64(bits * rising), _mm512_set1_epi8((char)((1 << bits) - 1)), ~0ull >> (64 - 8 * bits), bits};
}

/// 64 codes, for what lies beyond the `left` bytes that there are zero.
INLINE __m512i unpack_64(const unpack_64_plan *plan, const uint8_t *from, int64_t left) {
  __mmask64 read = left >= 8 * plan->bits ? plan->read : ~0ull >> (64 - left);
  __m512i all = _mm512_permutexvar_epi8(plan->bytes, _mm512_maskz_loadu_epi8(read, from));
  return _mm512_and_si512(_mm512_multishift_epi64_epi8(plan->shifts, all), plan->mask);
}
#endif

/// Reads 16 bytes, writes the 32 four-bit codes in them.
INLINE void unpack_nibbles(const uint8_t *from, uint8_t *to) {
#if defined(__x86_64__)
  __m256i wide = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)from));
  __m256i spread = _mm256_or_si256(wide, _mm256_slli_epi16(wide, 4));
  _mm256_storeu_si256((__m256i *)to, _mm256_and_si256(spread, _mm256_set1_epi8(15)));
#else
  uint8x16_t all = vld1q_u8(from);
  uint8x16_t low = vandq_u8(all, vdupq_n_u8(15)), high = vshrq_n_u8(all, 4);
  vst1q_u8(to, vzip1q_u8(low, high));
  vst1q_u8(to + 16, vzip2q_u8(low, high));
#endif
}

/// Codes begin..<begin+count of a row of `total` codes. Reads no byte behind the row's last code.
INLINE void unpack_run(const uint8_t *row, int64_t total, int bits, int64_t begin, int64_t count, uint8_t *to) {
  int64_t i = begin, end = begin + count;
  if (bits == 8) {
    memcpy(to, row + begin, (size_t)count);
    return;
  }
  for (; i < end && (i & 7) != 0; i++) *to++ = (uint8_t)dso_stored_code(row, i, bits);
  const uint8_t *from = row + (i * bits >> 3), *limit = row + ((total * bits + 7) >> 3);
#if LANES == 16
  unpack_64_plan plan = plan_unpacking_64(bits);
  for (; i + 64 <= end; i += 64, from += 8 * bits, to += 64) _mm512_storeu_si512(to, unpack_64(&plan, from, 8 * bits));
  if (i < end) _mm512_mask_storeu_epi8(to, ~0ull >> (64 - (end - i)), unpack_64(&plan, from, limit - from));
#else
  if (bits == 4) {
    for (; i + 32 <= end; i += 32, from += 16, to += 32) unpack_nibbles(from, to);
  } else {
    unpack_plan plan = plan_unpacking(bits);
    for (; i + 16 <= end && from + 16 <= limit; i += 16, from += 2 * bits, to += 16) unpack_16(&plan, from, to);
  }
  for (; i < end; i++) *to++ = (uint8_t)dso_stored_code(row, i, bits);
#endif
}

#endif
