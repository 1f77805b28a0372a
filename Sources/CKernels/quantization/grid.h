/// From floats to codes, for the variant whose vectors are included before this file. The same codes as the portable variant.
#ifndef DSO_GRID_H
#define DSO_GRID_H

#include <float.h>
#include <math.h>

#include "codes.h"

void DSO_KERNEL(min_max)(const float *x, int64_t count, float *minimum, float *maximum, int64_t *nonfinite) {
  VF low = vf_set(INFINITY), high = vf_set(-INFINITY), zeros = vf_zero();
  int64_t i = 0, odd = 0;
  for (; i + LANES <= count; i += LANES) {
    VF v = vf_load(x + i);
    low = vf_min(v, low);
    high = vf_max(v, high);
    // Stays zero unless a number is none, or infinite.
    zeros = vf_fma(v, vf_zero(), zeros);
  }
  float lowest = vf_smallest(low), highest = vf_largest(high);
  if (vf_outside(zeros, vf_zero(), vf_zero(), LANES)) {
    VF least = vf_set(-FLT_MAX), most = vf_set(FLT_MAX);
    for (int64_t j = 0; j < i; j += LANES) odd += vf_outside(vf_load(x + j), least, most, LANES);
  }
  if (i < count) {
    float rest_low, rest_high;
    int64_t rest_odd;
    dso_portable_min_max(x + i, count - i, &rest_low, &rest_high, &rest_odd);
    lowest = rest_low < lowest ? rest_low : lowest;
    highest = rest_high > highest ? rest_high : highest;
    odd += rest_odd;
  }
  *minimum = lowest;
  *maximum = highest;
  *nonfinite = odd;
}

/// Round, clamp, and add an offset: the codes as bytes.
INLINE void store_codes(VF steps, VF low, VF high, VI offset, void *to) {
  VF rounded = vf_min(vf_max(vf_round(steps), low), high);
  vi_store_8(to, vi_add(vi_of_vf(rounded), offset));
}

/// Quotients that round as those of an exact division do. A product with the reciprocal lies within a few units in the last place of it, which
/// matters only beside a half: then it is divided after all. Quotients beyond 2^12 are clamped either way.
INLINE VF quotients(VF x, VF divisor, VF reciprocal, VF nearly_half) {
  VF steps = vf_mul(x, reciprocal);
  VF rest = vf_sub(steps, vf_round(steps));
  return vf_outside(rest, vf_sub(vf_zero(), nearly_half), nearly_half, LANES) ? vf_div(x, divisor) : steps;
}

int64_t DSO_KERNEL(quantize_group)(const float *x, int64_t count, float scale, int zero_point, int bits, uint8_t *codes) {
  float magnitude = fabsf(scale);
  // Where the reciprocal of a scale is no ordinary number.
  int divides = !(magnitude > 0x1p-100f && magnitude < 0x1p100f);
  VF reciprocal = vf_set(1.0f / scale), nearly_half = vf_set(divides ? -1.0f : 0.499f);
  if (scale == 0) return dso_portable_quantize_group(x, count, scale, zero_point, bits, codes);
  int half = 1 << (bits - 1);
  VF scales = vf_set(scale), low = vf_set((float)(-half - zero_point)), high = vf_set((float)(half - 1 - zero_point));
  VF least = vf_sub(low, vf_set(0.5f)), most = vf_add(high, vf_set(0.5f));
  VI stored_zero = vi_set(zero_point + half);
  int64_t i = 0, clamped = 0;
  for (; i + LANES <= count; i += LANES) {
    VF steps = quotients(vf_load(x + i), scales, reciprocal, nearly_half);
    clamped += vf_outside(steps, least, most, LANES);
    store_codes(steps, low, high, stored_zero, codes + i);
  }
  if (i < count) clamped += dso_portable_quantize_group(x + i, count - i, scale, zero_point, bits, codes + i);
  return clamped;
}

INLINE int32_t sum_bytes(const int8_t *q, int64_t count) {
  VI sum = vi_zero();
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) sum = vi_add(sum, vi_load_s8(q + i));
  int32_t rest = 0;
  for (; i < count; i++) rest += q[i];
  return vi_sum(sum) + rest;
}

/// The scale that takes the largest magnitude of a row to `most`; NaN is passed over.
INLINE float row_scale(const float *x, int64_t k, float most) {
  VF largest = vf_zero();
  int64_t i = 0;
  for (; i + LANES <= k; i += LANES) largest = vf_max(vf_abs(vf_load(x + i)), largest);
  if (i < k) largest = vf_max(vf_abs(vf_load_n(x + i, k - i)), largest);
  float magnitude = vf_largest(largest), scale = magnitude > 0 ? magnitude / most : 1.0f;
  // The quotient of a denormal maximum may round to zero.
  return scale == 0 ? magnitude : scale;
}

int64_t DSO_KERNEL(quantize_rows_s8_fixed)(const float *x, int64_t ldx, int64_t rows, int64_t k, float scale, int8_t *q, int64_t ldq,
                                           int64_t group_size, int32_t *sums) {
  VF divisor = vf_set(scale), low = vf_set(-128.0f), high = vf_set(127.0f), least = vf_set(-128.5f), most = vf_set(127.5f);
  int64_t clamped = 0;
  for (int64_t row = 0; row < rows; row++, x += ldx, q += ldq) {
    int64_t i = 0;
    for (; i + LANES <= k; i += LANES) {
      VF steps = vf_div(vf_load(x + i), divisor);
      clamped += vf_outside(steps, least, most, LANES);
      store_codes(steps, low, high, vi_zero(), q + i);
    }
    if (i < k) {
      int8_t rest[LANES];
      VF steps = vf_div(vf_load_n(x + i, k - i), divisor);
      clamped += vf_outside(steps, least, most, k - i);
      store_codes(steps, low, high, vi_zero(), rest);
      memcpy(q + i, rest, (size_t)(k - i));
    }
    if (!sums) continue;
    for (int64_t begin = 0; begin < k; begin += group_size) *sums++ = sum_bytes(q + begin, dso_min_i64(group_size, k - begin));
  }
  return clamped;
}

void DSO_KERNEL(quantize_rows_s8)(const float *x, int64_t ldx, int64_t rows, int64_t k, int8_t *q, int64_t ldq, float *scales,
                                  int64_t group_size, int32_t *sums) {
  VF low = vf_set(-128.0f), high = vf_set(127.0f);
  for (int64_t row = 0; row < rows; row++, x += ldx, q += ldq) {
    scales[row] = row_scale(x, k, 127.5f);
    VF divisor = vf_set(scales[row]);
    int64_t i = 0;
    for (; i + LANES <= k; i += LANES) store_codes(vf_div(vf_load(x + i), divisor), low, high, vi_zero(), q + i);
    if (i < k) {
      int8_t rest[LANES];
      store_codes(vf_div(vf_load_n(x + i, k - i), divisor), low, high, vi_zero(), rest);
      memcpy(q + i, rest, (size_t)(k - i));
    }
    if (!sums) continue;
    for (int64_t begin = 0; begin < k; begin += group_size) *sums++ = sum_bytes(q + begin, dso_min_i64(group_size, k - begin));
  }
}

/// The scale as the row's products take it: not a number where the row holds what is none, so that nothing hides it.
INLINE float telling_scale(const float *x, int64_t k, float scale) {
  VF odd = vf_zero();
  int64_t i = 0;
  for (; i + LANES <= k; i += LANES) odd = vf_fma(vf_load(x + i), vf_zero(), odd);
  if (i < k) odd = vf_fma(vf_load_n(x + i, k - i), vf_zero(), odd);
  // Infinities make it no number too: their scale is infinite already.
  return vf_sum(odd) == 0 || scale == INFINITY ? scale : __builtin_nanf("");
}

void DSO_KERNEL(quantize_rows_s16)(const float *x, int64_t ldx, int64_t rows, int64_t k, int16_t *q, int64_t ldq, float *scales) {
  VF low = vf_set(-32639.0f), high = vf_set(32639.0f);
  for (int64_t row = 0; row < rows; row++, x += ldx, q += ldq) {
    float scale = row_scale(x, k, 32639.0f);
    scales[row] = telling_scale(x, k, scale);
    VF divisor = vf_set(scale);
    int64_t i = 0;
    for (; i + LANES <= k; i += LANES)
      vi_store_16(q + i, vi_of_vf(vf_min(vf_max(vf_round(vf_div(vf_load(x + i), divisor)), low), high)));
    if (i < k) {
      int16_t rest[LANES];
      vi_store_16(rest, vi_of_vf(vf_min(vf_max(vf_round(vf_div(vf_load_n(x + i, k - i), divisor)), low), high)));
      memcpy(q + i, rest, (size_t)(k - i) * sizeof *q);
    }
  }
}

#endif
