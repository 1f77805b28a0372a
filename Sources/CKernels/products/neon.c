/// Products for NEON: tiles of 8 rows by 12 columns.
#if defined(__aarch64__)
#include "../vectors/neon.h"

#include "blocking.h"
#include "sizes.h"

#define CODES_PER_UNIT 4
#define CODES_UNSIGNED 0
#define CODE_BYTES 1

INLINE VI add_product_codes(VI acc, VI a, VI b) { return vdotq_s32(acc, vreinterpretq_s8_s32(b), vreinterpretq_s8_s32(a)); }
INLINE void center_codes(const uint8_t *codes, int64_t count, int offset, uint8_t *to) {
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) vst1q_u8(to + i, vsubq_u8(vld1q_u8(codes + i), vdupq_n_u8((uint8_t)offset)));
  for (; i < count; i++) to[i] = (uint8_t)(codes[i] - offset);
}

INLINE int32_t sum_codes(const int8_t *a, int64_t count) {
  int8x16_t ones = vdupq_n_s8(1);
  VI sum = vi_zero();
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) sum = vdotq_s32(sum, ones, vld1q_s8(a + i));
  int32_t rest = 0;
  for (; i < count; i++) rest += a[i];
  return vi_sum(sum) + rest;
}

/// For 16-bit activations a unit is one 32-bit integer: a widening multiplication has no more products to an instruction.
#define WIDE_PER_UNIT 1
#define WIDE_BYTES 4

INLINE VI add_product_wide(VI acc, VI a, VI b) { return vmlaq_s32(acc, a, b); }
INLINE void center_wide(const uint8_t *codes, int64_t count, int offset, uint8_t *to) {
  int64_t i = 0;
  VI offsets = vi_set(offset);
  for (; i + LANES <= count; i += LANES) vi_store(to + 4 * i, vi_sub(vi_load_u8(codes + i), offsets));
  for (; i < count; i++) {
    int32_t code = codes[i] - offset;
    memcpy(to + 4 * i, &code, sizeof code);
  }
}

#define HAS_PRODUCTS
#include "pack.h"
#include "tile.h"
#ifdef UNITS_IN_PAIRS
#include "pairs.h"
#endif

INLINE void widen_activations(unit_kind kind, const uint8_t *from, int64_t count, uint8_t *to) {
  if (kind == UNITS_BF16) {
    dso_neon_convert_bf16_to_f32(from, (float *)(void *)to, count);
    return;
  }
  for (int64_t i = 0; i < count; i++) {
    int16_t code;
    memcpy(&code, from + 2 * i, sizeof code);
    int32_t wide = code;
    memcpy(to + 4 * i, &wide, sizeof wide);
  }
}

#include "weights.h"
#include "finish.h"
#include "wide.h"
#include "driver.h"
#include "../vectors/end.h"
#endif
