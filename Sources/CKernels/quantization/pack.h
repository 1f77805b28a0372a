/// Codes into a bit stream, for the variant whose vectors are included before this file.
#ifndef DSO_PACK_CODES_H
#define DSO_PACK_CODES_H

#include "codes.h"

/// Two neighbouring codes to a byte: 32 codes read, 16 bytes written.
INLINE void pack_nibbles(const uint8_t *from, uint8_t *to) {
#if defined(__x86_64__)
  __m256i codes = _mm256_and_si256(_mm256_loadu_si256((const __m256i *)from), _mm256_set1_epi8(15));
  __m256i pairs = _mm256_maddubs_epi16(codes, _mm256_set1_epi16(0x1001));
  _mm_storeu_si128((__m128i *)to, _mm_packus_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1)));
#else
  uint8x16_t a = vandq_u8(vld1q_u8(from), vdupq_n_u8(15)), b = vandq_u8(vld1q_u8(from + 16), vdupq_n_u8(15));
  vst1q_u8(to, vsliq_n_u8(vuzp1q_u8(a, b), vuzp2q_u8(a, b), 4));
#endif
}

#if LANES == 16
/// In every field of `width` bits, moves the upper half's `bits` bits down to where the lower half's end.
INLINE VI close_gaps(VI fields, VI lower, int width, int bits) {
  VI down = _mm512_srl_epi64(fields, _mm_cvtsi32_si128(width / 2 - bits)), upper = _mm512_sll_epi64(lower, _mm_cvtsi32_si128(bits));
  return _mm512_or_si512(_mm512_and_si512(fields, lower), _mm512_and_si512(down, upper));
}

/// The bytes of 64-bit lanes that hold codes, `bits` of each, for 2 to 7 bits.
#define BYTE_AT(bits, i) (uint8_t)((i) / (bits) * 8 + (i) % (bits))
#define BYTES_8(bits, i)                                                                                                        \
  BYTE_AT(bits, i), BYTE_AT(bits, i + 1), BYTE_AT(bits, i + 2), BYTE_AT(bits, i + 3), BYTE_AT(bits, i + 4), BYTE_AT(bits, i + 5), \
    BYTE_AT(bits, i + 6), BYTE_AT(bits, i + 7)
#define BYTES(bits)                                                                                                             \
  {BYTES_8(bits, 0), BYTES_8(bits, 8), BYTES_8(bits, 16), BYTES_8(bits, 24), BYTES_8(bits, 32), BYTES_8(bits, 40), BYTES_8(bits, 48), \
   BYTES_8(bits, 56)}
static const uint8_t packed_bytes[6][64] = {BYTES(2), BYTES(3), BYTES(4), BYTES(5), BYTES(6), BYTES(7)};
#undef BYTES
#undef BYTES_8
#undef BYTE_AT

/// Of 64 codes at once pairs are joined, then quads, then eights, and the lanes' bytes moved together.
INLINE void pack_runs(const uint8_t *codes, int64_t count, int bits, uint8_t *to) {
  VI one = _mm512_set1_epi16((short)((1 << bits) - 1)), two = _mm512_set1_epi32((1 << 2 * bits) - 1);
  VI four = _mm512_set1_epi64((1ll << 4 * bits) - 1), order = vi_load(packed_bytes[bits - 2]);
  for (int64_t i = 0; i < count; i += 64, to += 8 * bits) {
    int64_t some = dso_min_i64(64, count - i);
    VI fields = _mm512_maskz_loadu_epi8(~0ull >> (64 - some), codes + i);
    fields = close_gaps(close_gaps(close_gaps(fields, one, 16, bits), two, 32, 2 * bits), four, 64, 4 * bits);
    _mm512_mask_storeu_epi8(to, ~0ull >> (64 - some * bits / 8), _mm512_permutexvar_epi8(order, fields));
  }
}
#else
/// In every field of `width` bits, moves the upper half's `bits` bits down to where the lower half's end.
INLINE uint64_t close_gaps(uint64_t fields, uint64_t lower, int width, int bits) {
  return (fields & lower) | ((fields >> (width / 2 - bits)) & (lower << bits));
}

/// Eight codes, one per byte, to 8*bits neighbouring bits: pairs, then quads, then all.
INLINE uint64_t join_codes(uint64_t codes, int bits) {
  uint64_t one = (1u << bits) - 1u, two = (1u << 2 * bits) - 1u, four = (1ull << 4 * bits) - 1u;
  codes = close_gaps(codes, one * 0x0001000100010001u, 16, bits);
  codes = close_gaps(codes, two * 0x0000000100000001u, 32, 2 * bits);
  return close_gaps(codes, four, 64, 4 * bits);
}

INLINE void pack_runs(const uint8_t *codes, int64_t count, int bits, uint8_t *to) {
  for (int64_t i = 0; i < count; i += 8, to += bits) {
    uint64_t eight;
    memcpy(&eight, codes + i, sizeof eight);
    eight = join_codes(eight, bits);
    memcpy(to, &eight, (size_t)bits);
  }
}
#endif

/// `count` codes of 2 to 7 bits, one to a byte; a multiple of 32.
INLINE void pack_whole(const uint8_t *codes, int64_t count, int bits, uint8_t *to) {
  if (bits != 4) {
    pack_runs(codes, count, bits, to);
    return;
  }
  for (int64_t i = 0; i < count; i += 32) pack_nibbles(codes + i, to + i / 2);
}

#endif
