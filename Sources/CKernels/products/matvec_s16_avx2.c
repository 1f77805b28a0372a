/// Products of few rows of 16-bit activations for AVX2: 16 codes at once, widened (pairs of bytes would saturate).
#if defined(__x86_64__)
#include "../vectors/avx2.h"

#include "readings_s16.h"

enum {
  PLANE_BYTES = 32,  ///< the activations as they are
  WIDE_PARTS = 1,
};
#define CODES_CENTERED 0
#define SHARED_STEPS 0
/// Loads of activations are shared by rows of weights: they cost more here than memory's rate gives.
#define SINGLE_ROWS 0

INLINE void load_step(wide_reading kind, const wide_bits *bits, const uint8_t *from, int64_t left, VI *codes, VI *odd) {
  __m128i all;
  if (left >= 16) {
    all = _mm_loadu_si128((const __m128i *)from);
  } else {
    uint8_t rest[16] = {0};
    memcpy(rest, from, (size_t)left);
    all = _mm_loadu_si128((const __m128i *)rest);
  }
  if (kind == READ_BITS) {
    *codes = unpack_16_wide(bits, all);
    return;
  }
  VI wide = _mm256_cvtepu8_epi16(all);
  *codes = kind == READ_NIBBLES ? _mm256_and_si256(wide, _mm256_set1_epi16(15)) : wide;
  if (kind == READ_NIBBLES) *odd = _mm256_srli_epi16(wide, 4);
}

INLINE void store_planes(const int16_t *from, uint8_t *to) { memcpy(to, from, PLANE_BYTES); }

INLINE void add_codes(VI acc[WIDE_PARTS], VI codes, const uint8_t *planes) {
  acc[0] = vi_add(acc[0], _mm256_madd_epi16(codes, vi_load(planes)));
}

INLINE VI join_parts(const VI acc[WIDE_PARTS]) { return acc[0]; }

INLINE VI sum_planes(const uint8_t *planes) { return _mm256_madd_epi16(_mm256_set1_epi16(1), vi_load(planes)); }

#include "matvec_s16.h"
#include "../vectors/end.h"
#endif
