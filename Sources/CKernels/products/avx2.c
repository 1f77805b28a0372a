/// Products for AVX2: tiles of 6 rows by 16 columns.
#if defined(__x86_64__)
#include "../vectors/avx2.h"

#include "blocking.h"
#include "sizes.h"

/// Bytes would saturate in pairs; 16-bit pairs are exact.
#define CODES_PER_UNIT 2
#define CODES_UNSIGNED 0
#define CODE_BYTES 2

INLINE VI add_product_codes(VI acc, VI a, VI b) { return _mm256_add_epi32(acc, _mm256_madd_epi16(a, b)); }
INLINE void center_codes(const uint8_t *codes, int64_t count, int offset, uint8_t *to) {
  int64_t i = 0;
  VI offsets = _mm256_set1_epi16((short)offset);
  for (; i + 16 <= count; i += 16) {
    VI wide = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(codes + i)));
    vi_store(to + 2 * i, _mm256_sub_epi16(wide, offsets));
  }
  for (; i < count; i++) {
    int16_t code = (int16_t)(codes[i] - offset);
    memcpy(to + 2 * i, &code, sizeof code);
  }
}

INLINE int32_t sum_codes(const int8_t *a, int64_t count) {
  VI ones = _mm256_set1_epi16(1), sum = vi_zero();
  int64_t i = 0;
  for (; i + 16 <= count; i += 16)
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(ones, _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(a + i)))));
  int32_t rest = 0;
  for (; i < count; i++) rest += a[i];
  return vi_sum(sum) + rest;
}

/// 16-bit activations need nothing else than 8-bit ones, which are widened.
#define WIDE_PER_UNIT 2
#define WIDE_BYTES 2

INLINE VI add_product_wide(VI acc, VI a, VI b) { return add_product_codes(acc, a, b); }
INLINE void center_wide(const uint8_t *codes, int64_t count, int offset, uint8_t *to) { center_codes(codes, count, offset, to); }

#define HAS_PRODUCTS
#include "pack.h"
#include "tile.h"

INLINE void widen_activations(unit_kind kind, const uint8_t *from, int64_t count, uint8_t *to) {
  if (kind == UNITS_BF16) {
    dso_avx2_convert_bf16_to_f32(from, (float *)(void *)to, count);
    return;
  }
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) vi_store(to + 2 * i, _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(from + i))));
  for (; i < count; i++) {
    int16_t code = (int8_t)from[i];
    memcpy(to + 2 * i, &code, sizeof code);
  }
}

#include "weights.h"
#include "finish.h"
#include "wide.h"
#include "driver.h"
#include "../vectors/end.h"
#endif
