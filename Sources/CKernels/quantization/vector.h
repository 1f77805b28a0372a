/// Packing, unpacking and dequantizing, for the variant whose vectors are included before this file.
#ifndef DSO_QUANTIZATION_VECTOR_H
#define DSO_QUANTIZATION_VECTOR_H

#include "dequantize.h"
#include "grid.h"

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

void DSO_KERNEL(pack_codes)(const uint8_t *codes, int64_t count, int bits, uint32_t *words) {
  // Whole words only: 32 codes fill `bits` of them.
  int64_t whole = count / 32 * 32;
  uint8_t *to = (uint8_t *)words;
  if (bits == 8) {
    memcpy(to, codes, (size_t)whole);
  } else if (bits == 4) {
    for (int64_t i = 0; i < whole; i += 32) pack_nibbles(codes + i, to + i / 2);
  } else {
    for (int64_t i = 0; i < whole; i += 8, to += bits) {
      uint64_t eight;
      memcpy(&eight, codes + i, sizeof eight);
      eight = join_codes(eight, bits);
      memcpy(to, &eight, (size_t)bits);
    }
  }
  if (whole < count) dso_portable_pack_codes(codes + whole, count - whole, bits, words + whole / 32 * bits);
}

void DSO_KERNEL(unpack_codes)(const uint32_t *words, int64_t count, int bits, uint8_t *codes) {
  unpack_run((const uint8_t *)words, count, bits, 0, count, codes);
}

void DSO_KERNEL(dequantize)(const dso_weights *w, int64_t row_begin, int64_t row_end, float *out, int64_t ldo) {
  enum { CHUNK = 1024 };
  uint8_t codes[CHUNK];
  for (int64_t row = row_begin; row < row_end; row++, out += ldo) {
    switch (w->storage) {
      case DSO_STORAGE_QUANTIZED:
        for (int64_t begin = 0; begin < w->k; begin += CHUNK)
          dequantize_run(w, row, begin, dso_min_i64(CHUNK, w->k - begin), codes, out + begin);
        break;
      case DSO_STORAGE_BF16: DSO_KERNEL(convert_bf16_to_f32)(dso_weight_row(w, row), out, w->k); break;
      case DSO_STORAGE_F16: DSO_KERNEL(convert_f16_to_f32)(dso_weight_row(w, row), out, w->k); break;
      case DSO_STORAGE_F32: memcpy(out, dso_weight_row(w, row), (size_t)w->k * sizeof *out); break;
    }
  }
}

#include "errors.h"
#include "nearest.h"

#endif
