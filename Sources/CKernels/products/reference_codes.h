/// Products of integer activations (CODE: int8_t or int16_t) with quantized weights, portable: what both widths have in common.
#ifndef DSO_REFERENCE_CODES_H
#define DSO_REFERENCE_CODES_H

#include <math.h>

#include "../dispatch/kernel_table.h"
#include "../quantization/codes.h"
#include "blocking.h"

static int32_t dot(const CODE *a, const int16_t *b, int64_t count) {
  int32_t sum = 0;
  for (int64_t i = 0; i < count; i++) sum += (int32_t)a[i] * b[i];
  return sum;
}

/// Integers are exact within `run` weights of a group; then they are scaled and added in float. The zero point is taken off each weight, so
/// sums of the activations are not needed.
static void multiply_codes(const CODE *a, int64_t lda, const float *a_scales, int64_t m, const dso_weights *w, int64_t n_begin,
                           int64_t n_end, const float *bias, float *c, int64_t ldc, int64_t run, int16_t *weights) {
  int64_t groups = dso_group_count(w);
  for (int64_t j = n_begin; j < n_end; j++) {
    const uint8_t *row = dso_weight_row(w, j);
    for (int64_t i = 0; i < m; i++) c[i * ldc + j] = 0;
    for (int64_t g = 0; g < groups; g++) {
      float scale = w->scales[j * groups + g];
      int offset = (1 << (w->bits - 1)) + (w->zero_points ? w->zero_points[j * groups + g] : 0);
      int64_t group_end = dso_min_i64(w->k, (g + 1) * w->group_size);
      for (int64_t begin = g * w->group_size; begin < group_end; begin += run) {
        int64_t count = dso_min_i64(run, group_end - begin);
        for (int64_t i = 0; i < count; i++) weights[i] = (int16_t)((int)dso_stored_code(row, begin + i, w->bits) - offset);
        for (int64_t i = 0; i < m; i++) c[i * ldc + j] = fmaf(scale, (float)dot(a + i * lda + begin, weights, count), c[i * ldc + j]);
      }
    }
    for (int64_t i = 0; i < m; i++) c[i * ldc + j] = c[i * ldc + j] * a_scales[i] + (bias ? bias[j] : 0);
  }
}

#endif
