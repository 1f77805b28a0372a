/// Rounding to eight-bit floats, plain: no branches, so that compilers make vectors of it.
#include <math.h>
#include <string.h>

#include "../dispatch/contraction.h"
#include "../include/Float8.h"
#include "e4m3.h"

void dso_round_to_e4m3(const float *x, int64_t count, float scale, uint8_t *codes) {
  for (int64_t i = 0; i < count; i++) codes[i] = (uint8_t)e4m3_code(x[i] / scale);
}

static void fake_quantize(const float *x, int64_t count, float *y) {
  float largest = 0;
  for (int64_t i = 0; i < count; i++) largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
  float scale = largest / 448;
  if (scale == 0) scale = 1;
  for (int64_t i = 0; i < count; i++) y[i] = e4m3_value(e4m3_code(x[i] / scale)) * scale;
}

void dso_fake_quantize_rows_e4m3(const float *x, int64_t ldx, int64_t rows, int64_t k, int64_t group, float *y, int64_t ldy) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = 0; i < k; i += group) fake_quantize(x + r * ldx + i, i + group < k ? group : k - i, y + r * ldy + i);
}

int64_t dso_count_e4m3_nan(const uint8_t *codes, int64_t count) {
  int64_t found = 0;
  for (int64_t i = 0; i < count; i++) found += (codes[i] & 0x7f) == 0x7f;
  return found;
}
