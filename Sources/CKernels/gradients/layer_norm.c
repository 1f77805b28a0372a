#include <math.h>

#include "../dispatch/contraction.h"
#include "../include/Gradients.h"

/// With n = (x - mean) / deviation and g = dy * gain: dx = (g - mean(g) - n * mean(g * n)) / deviation, dgain = sum of dy * n.
void dso_layer_norm_backward(const float *x, int64_t ldx, const float *gain, const float *dy, int64_t lddy, int accumulate, float *dx,
                             int64_t lddx, float *dgain, int64_t rows, int64_t width, float epsilon) {
  for (int64_t r = 0; r < rows; r++, x += ldx, dy += lddy) {
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < width; i++) mean += x[i];
    mean /= (double)width;
    for (int64_t i = 0; i < width; i++) squares += (x[i] - mean) * (x[i] - mean);
    double factor = 1.0 / sqrt(squares / (double)width + (double)epsilon), sum = 0, inner = 0;
    for (int64_t i = 0; i < width; i++) {
      double n = (x[i] - mean) * factor, g = (double)dy[i] * gain[i];
      sum += g;
      inner += g * n;
      if (dgain) dgain[i] += (float)(dy[i] * n);
    }
    if (!dx) continue;
    sum /= (double)width;
    inner /= (double)width;
    float *target = dx + r * lddx;
    for (int64_t i = 0; i < width; i++) {
      double n = (x[i] - mean) * factor;
      float value = (float)(((double)dy[i] * gain[i] - sum - n * inner) * factor);
      target[i] = accumulate ? target[i] + value : value;
    }
  }
}
