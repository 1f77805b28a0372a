/// Moving elements between the orders of checkpoints, of processing, and of columns: portable, bound by memory.
#include <float.h>

#include "../dispatch/contraction.h"
#include "../quantization/codes.h"

/// Rows whose elements of one column are moved together: one line of floats.
enum { STRIP = 16, TILE = 32 };

void dso_gather(const float *row, const int32_t *order, int64_t count, float *to) {
  for (int64_t i = 0; i < count; i++) to[i] = row[order[i]];
}

void dso_gather_columns(const float *x, int64_t ldx, int64_t rows, const int32_t *order, int64_t count, float *to, int64_t ld) {
  for (int64_t begin = 0; begin < rows; begin += STRIP, x += STRIP * ldx, to += STRIP) {
    int64_t height = dso_min_i64(STRIP, rows - begin);
    for (int64_t p = 0; p < count; p++)
      for (int64_t r = 0; r < height; r++) to[p * ld + r] = x[r * ldx + order[p]];
  }
}

void dso_scatter_codes(const uint8_t *codes, int64_t ld, int64_t rows, const int32_t *order, int64_t count, uint8_t *to, int64_t ldt) {
  for (int64_t begin = 0; begin < rows; begin += STRIP, codes += STRIP, to += STRIP * ldt) {
    int64_t height = dso_min_i64(STRIP, rows - begin);
    for (int64_t p = 0; p < count; p++)
      for (int64_t r = 0; r < height; r++) to[r * ldt + order[p]] = codes[p * ld + r];
  }
}

void dso_gather_codes(const uint8_t *codes, int64_t ldx, int64_t rows, const int32_t *order, int64_t count, uint8_t *to, int64_t ld) {
  for (int64_t begin = 0; begin < rows; begin += STRIP, codes += STRIP * ldx, to += STRIP) {
    int64_t height = dso_min_i64(STRIP, rows - begin);
    for (int64_t p = 0; p < count; p++)
      for (int64_t r = 0; r < height; r++) to[p * ld + r] = codes[r * ldx + order[p]];
  }
}

void dso_subtract_codes(float *w, const uint8_t *codes, int64_t count, float scale, int zero_point, int bits) {
  int offset = (1 << (bits - 1)) + zero_point;
  for (int64_t i = 0; i < count; i++) {
    float value = (float)(codes[i] - offset) * scale;
    w[i] -= value;
  }
}

void dso_subtract_group_values(float *row, const float *values, int64_t k, int64_t group_size) {
  for (int64_t begin = 0; begin < k; begin += group_size, values++) {
    int64_t end = dso_min_i64(k, begin + group_size);
    for (int64_t i = begin; i < end; i++) row[i] -= *values;
  }
}

void dso_transpose_square(float *a, int64_t lda, int64_t n, int64_t row_begin, int64_t row_end) {
  for (int64_t i = row_begin; i < row_end; i += TILE) {
    int64_t i_end = dso_min_i64(row_end, i + TILE);
    for (int64_t j = i; j < n; j += TILE) {
      int64_t j_end = dso_min_i64(n, j + TILE);
      for (int64_t r = i; r < i_end; r++) {
        for (int64_t c = j > r ? j : r + 1; c < j_end; c++) {
          float upper = a[r * lda + c];
          a[r * lda + c] = a[c * lda + r];
          a[c * lda + r] = upper;
        }
      }
    }
  }
}

void dso_transpose_grids(const float *scales, const int8_t *zero_points, int64_t rows, int64_t groups, float *to_scales,
                         float *to_zero_points, int64_t ld) {
  for (int64_t g = 0; g < groups; g++) {
    for (int64_t r = 0; r < ld; r++) {
      float scale = r < rows ? scales[r * groups + g] : 1;
      to_scales[g * ld + r] = scale == 0 ? FLT_MAX : scale;
      to_zero_points[g * ld + r] = r < rows && zero_points ? zero_points[r * groups + g] : 0;
    }
  }
}

void dso_mirror(float *a, int64_t lda, int64_t n, int64_t row_begin, int64_t row_end, int from_upper) {
  for (int64_t i = row_begin; i < row_end; i += TILE) {
    int64_t i_end = dso_min_i64(row_end, i + TILE);
    for (int64_t j = from_upper ? 0 : i; j < (from_upper ? i_end : n); j += TILE) {
      int64_t j_end = dso_min_i64(n, j + TILE);
      for (int64_t r = i; r < i_end; r++) {
        int64_t first = from_upper || j > r ? j : r + 1, last = from_upper && r < j_end ? r : j_end;
        for (int64_t c = first; c < last; c++) a[r * lda + c] = a[c * lda + r];
      }
    }
  }
}

void dso_scale_elements(float *x, const float *factors, float factor, int64_t count) {
  for (int64_t i = 0; i < count; i++) x[i] *= factors[i] * factor;
}

void dso_add_products(const float *x, const float *y, double *sums, int64_t count) {
  for (int64_t i = 0; i < count; i++) sums[i] += (double)x[i] * y[i];
}
