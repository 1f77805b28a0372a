/// Normalizations, for the variant whose vectors are included before this file. Sums in double.
#ifndef DSO_NORMALIZATION_VECTOR_H
#define DSO_NORMALIZATION_VECTOR_H

#include <math.h>

INLINE double sum_of(const float *x, int64_t width) {
  VD low = vd_zero(), high = vd_zero();
  for (int64_t i = 0; i < width; i += LANES) {
    VF v = width - i >= LANES ? vf_load(x + i) : vf_load_n(x + i, width - i);
    low = vd_add(low, vd_low(v));
    high = vd_add(high, vd_high(v));
  }
  return vd_sum(vd_add(low, high));
}

/// Sum of (x - mean)^2.
INLINE double squares_around(const float *x, int64_t width, double mean) {
  VD low = vd_zero(), high = vd_zero(), means = vd_set(mean);
  int64_t i = 0;
  for (; i + LANES <= width; i += LANES) {
    VF v = vf_load(x + i);
    VD a = vd_sub(vd_low(v), means), b = vd_sub(vd_high(v), means);
    low = vd_fma(a, a, low);
    high = vd_fma(b, b, high);
  }
  double rest = 0;
  for (; i < width; i++) rest += (x[i] - mean) * (x[i] - mean);
  return vd_sum(vd_add(low, high)) + rest;
}

void DSO_KERNEL(rms_norm)(const float *x, int64_t ldx, const float *gain, float *y, int64_t ldy, int64_t rows, int64_t width,
                          float epsilon) {
  for (int64_t row = 0; row < rows; row++, x += ldx, y += ldy) {
    VF factor = vf_set((float)(1.0 / sqrt(squares_around(x, width, 0) / (double)width + (double)epsilon)));
    int64_t i = 0;
    for (; i + LANES <= width; i += LANES) vf_store(y + i, vf_mul(vf_mul(vf_load(x + i), factor), vf_load(gain + i)));
    int64_t n = width - i;
    if (n > 0) vf_store_n(y + i, vf_mul(vf_mul(vf_load_n(x + i, n), factor), vf_load_n(gain + i, n)), n);
  }
}

INLINE VF normalized(VF v, VD mean, VF factor) { return vf_mul(vf_of_vd(vd_sub(vd_low(v), mean), vd_sub(vd_high(v), mean)), factor); }

void DSO_KERNEL(layer_norm)(const float *x, int64_t ldx, const float *gain, const float *bias, float *y, int64_t ldy, int64_t rows,
                            int64_t width, float epsilon) {
  for (int64_t row = 0; row < rows; row++, x += ldx, y += ldy) {
    double mean = sum_of(x, width) / (double)width;
    VD means = vd_set(mean);
    VF factor = vf_set((float)(1.0 / sqrt(squares_around(x, width, mean) / (double)width + (double)epsilon)));
    int64_t i = 0;
    for (; i + LANES <= width; i += LANES) {
      VF v = vf_mul(normalized(vf_load(x + i), means, factor), vf_load(gain + i));
      vf_store(y + i, bias ? vf_add(v, vf_load(bias + i)) : v);
    }
    int64_t n = width - i;
    if (n <= 0) continue;
    VF v = vf_mul(normalized(vf_load_n(x + i, n), means, factor), vf_load_n(gain + i, n));
    vf_store_n(y + i, bias ? vf_add(v, vf_load_n(bias + i, n)) : v, n);
  }
}

#endif
