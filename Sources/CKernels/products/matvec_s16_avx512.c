/// Products of few rows of 16-bit activations for AVX-512: 64 stored codes at once, times the high and the low bytes of the activations.
#if defined(__x86_64__)
#include "../vectors/avx512.h"

#include "readings_s16.h"

enum {
  PLANE_BYTES = 128,  ///< 64 high bytes, 64 low ones
  WIDE_PARTS = 2,
};
#define CODES_CENTERED 0
#define SHARED_STEPS 1
/// One row of activations goes with one of weights: their loads beside it cost less than what other rows take of memory's rate.
#define SINGLE_ROWS 1

INLINE void load_step(wide_reading kind, const wide_bits *bits, const uint8_t *from, int64_t left, VI *codes, VI *odd) {
  if (kind == READ_BITS) {
    *codes = unpack_64(bits, from, left);
    return;
  }
  VI all = left >= 64 ? vi_load(from) : _mm512_maskz_loadu_epi8(~0ull >> (64 - left), from);
  if (kind == READ_CODE_BYTES) {
    *codes = all;
    return;
  }
  VI low = _mm512_set1_epi8(15);
  *codes = _mm512_and_si512(all, low);
  *odd = _mm512_and_si512(_mm512_srli_epi16(all, 4), low);
}

/// 256 * high + low, both signed.
INLINE void store_planes(const int16_t *from, uint8_t *to) {
  VI half = _mm512_set1_epi16(128);
  for (int i = 0; i < 2; i++) {
    VI codes = vi_load(from + 32 * i), high = _mm512_srai_epi16(_mm512_add_epi16(codes, half), 8);
    _mm256_storeu_si256((__m256i *)(to + 32 * i), _mm512_cvtepi16_epi8(high));
    _mm256_storeu_si256((__m256i *)(to + 64 + 32 * i), _mm512_cvtepi16_epi8(codes));
  }
}

INLINE void add_codes(VI acc[WIDE_PARTS], VI codes, const uint8_t *planes) {
  acc[0] = _mm512_dpbusd_epi32(acc[0], codes, vi_load(planes));
  acc[1] = _mm512_dpbusd_epi32(acc[1], codes, vi_load(planes + 64));
}

INLINE VI join_parts(const VI acc[WIDE_PARTS]) { return vi_add(_mm512_slli_epi32(acc[0], 8), acc[1]); }

INLINE VI sum_planes(const uint8_t *planes) {
  VI acc[WIDE_PARTS] = {vi_zero(), vi_zero()};
  add_codes(acc, _mm512_set1_epi8(1), planes);
  return join_parts(acc);
}

/// Lanes of the first of `together` groups, then of the second, and so on.
INLINE VI lane_groups(int64_t together) {
  VI lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm512_srli_epi32(vi_mul(lanes, vi_set((int32_t)together)), 4);
}
INLINE VF spread_scales(const float *scales, int64_t count, int64_t together) {
  return _mm512_permutexvar_ps(lane_groups(together), vf_load_n(scales, count));
}
INLINE VI spread_zero_points(const int8_t *zero_points, int64_t count, int64_t together) {
  VI wide = _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(v_first(count), zero_points));
  return _mm512_permutexvar_epi32(lane_groups(together), wide);
}

#include "matvec_s16.h"
#include "../vectors/end.h"
#endif
