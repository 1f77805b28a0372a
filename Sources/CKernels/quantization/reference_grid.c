/// From floats to codes, portable: extremes, groups of weights, rows of activations.
#include <math.h>

#include "../dispatch/kernel_table.h"
#include "codes.h"

void dso_portable_min_max(const float *x, int64_t count, float *minimum, float *maximum, int64_t *nonfinite) {
  float low = INFINITY, high = -INFINITY;
  int64_t odd = 0;
  for (int64_t i = 0; i < count; i++) {
    low = x[i] < low ? x[i] : low;
    high = x[i] > high ? x[i] : high;
    odd += !(fabsf(x[i]) < INFINITY);
  }
  *minimum = low;
  *maximum = high;
  *nonfinite = odd;
}

int64_t dso_portable_quantize_group(const float *x, int64_t count, float scale, int zero_point, int bits, uint8_t *codes) {
  int half = 1 << (bits - 1);
  float low = (float)(-half - zero_point), high = (float)(half - 1 - zero_point);
  int stored_zero = zero_point + half;
  int64_t clamped = 0;
  for (int64_t i = 0; i < count; i++) {
    float steps = scale == 0 ? 0 : x[i] / scale;
    clamped += !(steps >= low - 0.5f && steps <= high + 0.5f);
    float rounded = rintf(steps);
    rounded = rounded > low ? rounded : low;
    rounded = rounded < high ? rounded : high;
    codes[i] = (uint8_t)((int)rounded + stored_zero);
  }
  return clamped;
}

/// Rounds to codes; returns how many were clamped by more than rounding.
static int64_t round_row(const float *x, int64_t k, float scale, int8_t *q) {
  int64_t clamped = 0;
  for (int64_t i = 0; i < k; i++) {
    float steps = x[i] / scale;
    clamped += !(steps >= -128.5f && steps <= 127.5f);
    float rounded = rintf(steps);
    rounded = rounded > -128.0f ? rounded : -128.0f;
    rounded = rounded < 127.0f ? rounded : 127.0f;
    q[i] = (int8_t)rounded;
  }
  return clamped;
}

static int32_t *add_sums(const int8_t *q, int64_t k, int64_t group_size, int32_t *sums) {
  for (int64_t begin = 0; begin < k; begin += group_size) {
    int32_t sum = 0;
    for (int64_t i = begin; i < dso_min_i64(k, begin + group_size); i++) sum += q[i];
    *sums++ = sum;
  }
  return sums;
}

int64_t dso_portable_quantize_rows_s8_fixed(const float *x, int64_t ldx, int64_t rows, int64_t k, float scale, int8_t *q, int64_t ldq,
                                            int64_t group_size, int32_t *sums) {
  int64_t clamped = 0;
  for (int64_t row = 0; row < rows; row++, x += ldx, q += ldq) {
    clamped += round_row(x, k, scale, q);
    if (sums) sums = add_sums(q, k, group_size, sums);
  }
  return clamped;
}

/// The scale that takes the largest magnitude of a row to `most`; NaN is passed over.
static float row_scale(const float *x, int64_t k, float most) {
  float largest = 0;
  for (int64_t i = 0; i < k; i++) {
    float magnitude = fabsf(x[i]);
    largest = magnitude > largest ? magnitude : largest;
  }
  float scale = largest > 0 ? largest / most : 1.0f;
  // The quotient of a denormal maximum may round to zero.
  return scale == 0 ? largest : scale;
}

void dso_portable_quantize_rows_s8(const float *x, int64_t ldx, int64_t rows, int64_t k, int8_t *q, int64_t ldq, float *scales,
                                   int64_t group_size, int32_t *sums) {
  for (int64_t row = 0; row < rows; row++, x += ldx, q += ldq) {
    scales[row] = row_scale(x, k, 127.5f);
    round_row(x, k, scales[row], q);
    if (sums) sums = add_sums(q, k, group_size, sums);
  }
}

void dso_portable_quantize_rows_s16(const float *x, int64_t ldx, int64_t rows, int64_t k, int16_t *q, int64_t ldq, float *scales) {
  for (int64_t row = 0; row < rows; row++, x += ldx, q += ldq) {
    float scale = row_scale(x, k, 32639.0f);
    scales[row] = scale;
    for (int64_t i = 0; i < k; i++) {
      // Nothing hides what is no number.
      if (x[i] != x[i] && scale != INFINITY) scales[row] = __builtin_nanf("");
      float rounded = rintf(x[i] / scale);
      rounded = rounded > -32639.0f ? rounded : -32639.0f;
      q[i] = (int16_t)(rounded < 32639.0f ? rounded : 32639.0f);
    }
  }
}
