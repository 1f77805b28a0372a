/// Products for AVX-512: tiles of 14 rows by 32 columns.
#if defined(__x86_64__)
#include "../vectors/avx512.h"

#include "blocking.h"
#include "sizes.h"

#define CODES_PER_UNIT 4
/// Stored codes are multiplied as they are; what is 2^(bits-1) too much comes off with the zero points.
#define CODES_UNSIGNED 1
#define CODE_BYTES 1

INLINE VI add_product_codes(VI acc, VI a, VI b) { return _mm512_dpbusd_epi32(acc, b, a); }
INLINE void center_codes(const uint8_t *codes, int64_t count, int offset, uint8_t *to) {
  (void)codes, (void)count, (void)offset, (void)to;
}

INLINE int32_t sum_codes(const int8_t *a, int64_t count) {
  VI ones = _mm512_set1_epi8(1), sum = vi_zero();
  int64_t i = 0;
  for (; i + 64 <= count; i += 64) sum = _mm512_dpbusd_epi32(sum, ones, vi_load(a + i));
  if (i < count) sum = _mm512_dpbusd_epi32(sum, ones, _mm512_maskz_loadu_epi8(~0ull >> (64 - (count - i)), a + i));
  return vi_sum(sum);
}

/// 16-bit activations are multiplied in pairs with codes that are widened and centred while they are packed.
#define WIDE_PER_UNIT 2
#define WIDE_BYTES 2

INLINE VI add_product_wide(VI acc, VI a, VI b) { return _mm512_dpwssd_epi32(acc, a, b); }
INLINE void center_wide(const uint8_t *codes, int64_t count, int offset, uint8_t *to) {
  int64_t i = 0;
  VI offsets = _mm512_set1_epi16((short)offset);
  for (; i + 32 <= count; i += 32) {
    VI wide = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(codes + i)));
    vi_store(to + 2 * i, _mm512_sub_epi16(wide, offsets));
  }
  for (; i < count; i++) {
    int16_t code = (int16_t)(codes[i] - offset);
    memcpy(to + 2 * i, &code, sizeof code);
  }
}

#define HAS_PRODUCTS
#include "pack.h"
#include "tile.h"

INLINE void widen_activations(unit_kind kind, const uint8_t *from, int64_t count, uint8_t *to) {
  (void)kind, (void)from, (void)count, (void)to;
}

#include "weights.h"
#include "finish.h"
#include "wide.h"
#include "driver.h"
#include "../vectors/end.h"
#endif
