/// Normalizations over rows, portable. Sums in double.
#include <math.h>

#include "../dispatch/kernel_table.h"

void dso_portable_rms_norm(const float *x, int64_t ldx, const float *gain, float *y, int64_t ldy, int64_t rows, int64_t width,
                           float epsilon) {
  for (int64_t row = 0; row < rows; row++, x += ldx, y += ldy) {
    double squares = 0;
    for (int64_t i = 0; i < width; i++) squares += (double)x[i] * x[i];
    float factor = (float)(1.0 / sqrt(squares / (double)width + (double)epsilon));
    for (int64_t i = 0; i < width; i++) y[i] = x[i] * factor * gain[i];
  }
}

void dso_portable_layer_norm(const float *x, int64_t ldx, const float *gain, const float *bias, float *y, int64_t ldy, int64_t rows,
                             int64_t width, float epsilon) {
  for (int64_t row = 0; row < rows; row++, x += ldx, y += ldy) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < width; i++) sum += x[i];
    double mean = sum / (double)width;
    for (int64_t i = 0; i < width; i++) squares += (x[i] - mean) * (x[i] - mean);
    float factor = (float)(1.0 / sqrt(squares / (double)width + (double)epsilon));
    for (int64_t i = 0; i < width; i++) {
      float normalized = (float)(x[i] - mean) * factor * gain[i];
      y[i] = bias ? normalized + bias[i] : normalized;
    }
  }
}
