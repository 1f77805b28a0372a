/// Gradients of rows and elements, portable. Sums in double.
#include <math.h>

#include "../dispatch/kernel_table.h"

void dso_portable_rms_norm_backward(const float *x, int64_t ldx, const float *gain, const float *dy, int64_t lddy, int accumulate,
                                    float *dx, int64_t lddx, float *dgain, int64_t rows, int64_t width, float epsilon) {
  for (int64_t row = 0; row < rows; row++, x += ldx, dy += lddy) {
    double squares = 0, slope = 0;
    for (int64_t i = 0; i < width; i++) squares += (double)x[i] * x[i], slope += (double)x[i] * gain[i] * dy[i];
    double inverse = 1.0 / sqrt(squares / (double)width + (double)epsilon);
    double back = inverse * inverse * inverse * slope / (double)width;
    for (int64_t i = 0; dx && i < width; i++) {
      float value = (float)(inverse * gain[i] * dy[i] - back * x[i]);
      float *to = dx + row * lddx + i;
      *to = accumulate ? *to + value : value;
    }
    for (int64_t i = 0; dgain && i < width; i++) dgain[i] += (float)(inverse * x[i] * dy[i]);
  }
}

/// The value and the derivative, in double.
static double activated(dso_activation kind, double x, double *derivative) {
  switch (kind) {
    case DSO_ACTIVATION_SILU: {
      double share = 1.0 / (1.0 + exp(-x));
      *derivative = share * (1.0 + x * (1.0 - share));
      return x * share;
    }
    case DSO_ACTIVATION_GELU_TANH: {
      double share = 1.0 / (1.0 + exp(-1.5957691216057308 * (x + 0.044715 * x * x * x)));
      double slope = 1.5957691216057308 * (1.0 + 3 * 0.044715 * x * x);
      *derivative = share == 0 || share == 1 ? share : share * (1.0 + x * (1.0 - share) * slope);
      return x * share;
    }
    case DSO_ACTIVATION_GELU_ERF: {
      double share = 0.5 * erfc(-0.70710678118654752 * x), density = 0.3989422804014327 * exp(-0.5 * x * x);
      *derivative = density == 0 ? share : share + x * density;
      return x * share;
    }
    case DSO_ACTIVATION_RELU_SQUARED: {
      double passed = x > 0 ? x : 0;
      *derivative = 2 * passed;
      return passed * passed;
    }
    case DSO_ACTIVATION_RELU: break;
  }
  *derivative = x > 0;
  return x > 0 ? x : 0;
}

void dso_portable_gated_activation_backward(dso_activation kind, const float *gate, const float *up, const float *dy, float *dgate,
                                            float *dup, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    double derivative, value = activated(kind, gate[i], &derivative), slope = dy[i], through = up ? slope * up[i] : slope;
    if (dgate) dgate[i] = (float)(through * derivative);
    if (dup) dup[i] = (float)(slope * value);
  }
}

void dso_portable_sum_rows(const float *x, int64_t ldx, int64_t rows, int64_t width, float *sums) {
  for (int64_t i = 0; i < width; i++) {
    double sum = 0;
    for (int64_t row = 0; row < rows; row++) sum += x[row * ldx + i];
    sums[i] += (float)sum;
  }
}

void dso_portable_fake_quantize_rows_s8(const float *x, int64_t ldx, int64_t rows, int64_t k, float *y, int64_t ldy) {
  for (int64_t row = 0; row < rows; row++, x += ldx, y += ldy) {
    float largest = 0;
    for (int64_t i = 0; i < k; i++) largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
    float scale = largest > 0 ? largest / 127.5f : 1.0f;
    if (scale == 0) scale = largest;
    for (int64_t i = 0; i < k; i++) {
      float rounded = rintf(x[i] / scale);
      rounded = rounded > -128.0f ? rounded : -128.0f;
      y[i] = (rounded < 127.0f ? rounded : 127.0f) * scale;
    }
  }
}

void dso_portable_fake_quantize_rows_s8_fixed(const float *x, int64_t ldx, int64_t rows, int64_t k, float scale, float *y, int64_t ldy) {
  for (int64_t row = 0; row < rows; row++, x += ldx, y += ldy)
    for (int64_t i = 0; i < k; i++) {
      float rounded = rintf(x[i] / scale);
      rounded = rounded > -128.0f ? rounded : -128.0f;
      y[i] = (rounded < 127.0f ? rounded : 127.0f) * scale;
    }
}
