#include <math.h>

#include "../dispatch/kernel_table.h"

void dso_portable_dynamic_tanh(const float *x, int64_t ldx, float steepness, const float *gain, const float *bias, float *y, int64_t ldy,
                               int64_t rows, int64_t width) {
  for (int64_t row = 0; row < rows; row++, x += ldx, y += ldy)
    for (int64_t i = 0; i < width; i++) y[i] = gain[i] * tanhf(steepness * x[i]) + bias[i];
}

void dso_portable_dynamic_tanh_backward(const float *x, int64_t ldx, float steepness, const float *gain, const float *dy, int64_t lddy,
                                        int accumulate, float *dx, int64_t lddx, float *dgain, float *dsteepness, int64_t rows,
                                        int64_t width) {
  double steep = 0;
  for (int64_t row = 0; row < rows; row++, x += ldx, dy += lddy) {
    float *to = dx ? dx + row * lddx : dx;
    for (int64_t i = 0; i < width; i++) {
      double t = tanh((double)steepness * x[i]), slope = (double)dy[i] * gain[i] * (1 - t * t);
      if (to) {
        float value = (float)(slope * steepness);
        to[i] = accumulate ? to[i] + value : value;
      }
      if (dgain) dgain[i] += (float)(dy[i] * t);
      steep += slope * x[i];
    }
  }
  if (dsteepness) *dsteepness += (float)steep;
}

double dso_fit_dynamic_tanh(const float *x, int64_t ldx, const float *factors, const float *weights, int64_t rows, int64_t width,
                            float steepness, float *slopes, float *intercepts) {
  double error = 0, count = rows > 0 ? (double)rows : 1;
  for (int64_t i = 0; i < width; i++) {
    double t1 = 0, t2 = 0, n1 = 0, n2 = 0, nt = 0;
    for (int64_t row = 0; row < rows; row++) {
      double value = x[row * ldx + i], t = tanh((double)steepness * value), n = value * factors[row];
      t1 += t, t2 += t * t, n1 += n, n2 += n * n, nt += n * t;
    }
    double variance = t2 - t1 * t1 / count, common = nt - n1 * t1 / count;
    double slope = variance > 1e-12 * count ? common / variance : 0;
    slopes[i] = (float)slope;
    intercepts[i] = (float)((n1 - slope * t1) / count);
    error += weights[i] * (n2 - n1 * n1 / count - slope * common);
  }
  return error;
}
