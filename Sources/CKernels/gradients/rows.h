/// Gradients of rows and elements, for the variant whose vectors are included before this file.
#ifndef DSO_GRADIENT_ROWS_H
#define DSO_GRADIENT_ROWS_H

#include <math.h>

#include "../vectors/exponential.h"

INLINE VF load_some(const float *p, int64_t n) { return n >= LANES ? vf_load(p) : vf_load_n(p, n); }
INLINE void store_some(float *p, VF v, int64_t n) {
  if (n >= LANES) {
    vf_store(p, v);
  } else {
    vf_store_n(p, v, n);
  }
}

/// Sums of x^2 and of gain * dy * x over a row, in double.
INLINE void norm_sums(const float *x, const float *gain, const float *dy, int64_t width, double *squares, double *slope) {
  VD square_low = vd_zero(), square_high = vd_zero(), slope_low = vd_zero(), slope_high = vd_zero();
  for (int64_t i = 0; i < width; i += LANES) {
    VF v = load_some(x + i, width - i), s = vf_mul(load_some(gain + i, width - i), load_some(dy + i, width - i));
    square_low = vd_fma(vd_low(v), vd_low(v), square_low);
    square_high = vd_fma(vd_high(v), vd_high(v), square_high);
    slope_low = vd_fma(vd_low(v), vd_low(s), slope_low);
    slope_high = vd_fma(vd_high(v), vd_high(s), slope_high);
  }
  *squares = vd_sum(vd_add(square_low, square_high));
  *slope = vd_sum(vd_add(slope_low, slope_high));
}

void DSO_KERNEL(rms_norm_backward)(const float *x, int64_t ldx, const float *gain, const float *dy, int64_t lddy, int accumulate,
                                   float *dx, int64_t lddx, float *dgain, int64_t rows, int64_t width, float epsilon) {
  for (int64_t row = 0; row < rows; row++, x += ldx, dy += lddy) {
    double squares, slope;
    norm_sums(x, gain, dy, width, &squares, &slope);
    double inverse = 1.0 / sqrt(squares / (double)width + (double)epsilon);
    VF factor = vf_set((float)inverse), back = vf_set((float)(inverse * inverse * inverse * slope / (double)width));
    for (int64_t i = 0; dx && i < width; i += LANES) {
      int64_t n = width - i;
      VF s = vf_mul(vf_mul(load_some(gain + i, n), load_some(dy + i, n)), factor);
      VF v = vf_fnma(load_some(x + i, n), back, s);
      float *to = dx + row * lddx + i;
      store_some(to, accumulate ? vf_add(load_some(to, n), v) : v, n);
    }
    for (int64_t i = 0; dgain && i < width; i += LANES) {
      int64_t n = width - i;
      VF v = vf_mul(vf_mul(load_some(x + i, n), factor), load_some(dy + i, n));
      store_some(dgain + i, vf_add(load_some(dgain + i, n), v), n);
    }
  }
}

/// Sums over a row in double, vector by vector: of x; or, for what lies `n` of a deviation from the mean, of g = dy * gain and of g * n.
typedef struct {
  VD low, high;
} halves;
INLINE double both_sums(halves s) { return vd_sum(vd_add(s.low, s.high)); }

INLINE double mean_of(const float *x, int64_t width) {
  halves sum = {vd_zero(), vd_zero()};
  for (int64_t i = 0; i < width; i += LANES) {
    VF v = load_some(x + i, width - i);
    sum.low = vd_add(sum.low, vd_low(v)), sum.high = vd_add(sum.high, vd_high(v));
  }
  return both_sums(sum) / (double)width;
}

/// 1 / sqrt(variance + epsilon). What a last vector has beyond the row lies `mean` from the mean, and comes off again.
INLINE double inverse_deviation(const float *x, int64_t width, double mean, double epsilon) {
  halves sum = {vd_zero(), vd_zero()};
  VD means = vd_set(mean);
  int64_t i = 0;
  for (; i + LANES <= width; i += LANES) {
    VD low = vd_sub(vd_low(vf_load(x + i)), means), high = vd_sub(vd_high(vf_load(x + i)), means);
    sum.low = vd_fma(low, low, sum.low), sum.high = vd_fma(high, high, sum.high);
  }
  double rest = 0;
  for (; i < width; i++) rest += (x[i] - mean) * (x[i] - mean);
  return 1.0 / sqrt((both_sums(sum) + rest) / (double)width + epsilon);
}

INLINE halves deviations(VF x, VD mean, VD factor) {
  return (halves){vd_mul(vd_sub(vd_low(x), mean), factor), vd_mul(vd_sub(vd_high(x), mean), factor)};
}
INLINE halves product_of(VF a, VF b) { return (halves){vd_mul(vd_low(a), vd_low(b)), vd_mul(vd_high(a), vd_high(b))}; }

void DSO_KERNEL(layer_norm_backward)(const float *x, int64_t ldx, const float *gain, const float *dy, int64_t lddy, int accumulate,
                                     float *dx, int64_t lddx, float *dgain, int64_t rows, int64_t width, float epsilon) {
  for (int64_t row = 0; row < rows; row++, x += ldx, dy += lddy) {
    double middle = mean_of(x, width), inverse = inverse_deviation(x, width, middle, (double)epsilon);
    VD mean = vd_set(middle), factor = vd_set(inverse);
    halves sum = {vd_zero(), vd_zero()}, inner = sum;
    for (int64_t i = 0; i < width; i += LANES) {
      int64_t left = width - i;
      VF given = load_some(dy + i, left);
      halves n = deviations(load_some(x + i, left), mean, factor), g = product_of(given, load_some(gain + i, left));
      sum.low = vd_add(sum.low, g.low), sum.high = vd_add(sum.high, g.high);
      inner.low = vd_fma(g.low, n.low, inner.low), inner.high = vd_fma(g.high, n.high, inner.high);
      if (!dgain) continue;
      VF part = vf_of_vd(vd_mul(vd_low(given), n.low), vd_mul(vd_high(given), n.high));
      store_some(dgain + i, vf_add(load_some(dgain + i, left), part), left);
    }
    if (!dx) continue;
    VD shared = vd_set(both_sums(sum) / (double)width), along = vd_set(both_sums(inner) / (double)width);
    for (int64_t i = 0; i < width; i += LANES) {
      int64_t left = width - i;
      float *to = dx + row * lddx + i;
      halves n = deviations(load_some(x + i, left), mean, factor), g = product_of(load_some(dy + i, left), load_some(gain + i, left));
      VF v = vf_of_vd(vd_mul(vd_fnma(n.low, along, vd_sub(g.low, shared)), factor),
                      vd_mul(vd_fnma(n.high, along, vd_sub(g.high, shared)), factor));
      store_some(to, accumulate ? vf_add(load_some(to, left), v) : v, left);
    }
  }
}

/// The derivative at x of an activation whose value there is `value`. Below float's reach of a quotient the value is half of x.
INLINE VF derivative(dso_activation kind, VF x, VF value) {
  VF one = vf_set(1.0f), zero = vf_zero();
  if (kind == DSO_ACTIVATION_RELU) return vf_where_less(zero, x, one, zero);
  if (kind == DSO_ACTIVATION_RELU_SQUARED) return vf_mul(vf_set(2.0f), vf_where_less(zero, x, x, zero));
  // The share of x that passes: the logistic function or the normal distribution's.
  VF share = vf_where_less(vf_abs(x), vf_set(1e-30f), vf_set(0.5f), vf_div(value, x));
  if (kind == DSO_ACTIVATION_SILU) return vf_fma(value, vf_sub(one, share), share);
  // Where the share is 0 or 1 to float the rest adds nothing; the bound keeps squares finite.
  VF bounded = vf_min(vf_set(30.0f), vf_max(vf_set(-30.0f), x)), square = vf_mul(bounded, bounded);
  if (kind == DSO_ACTIVATION_GELU_TANH) {
    VF slope = vf_fma(vf_set(3 * 0.044715f * 1.5957691216057308f), square, vf_set(1.5957691216057308f));
    return vf_fma(vf_mul(value, vf_sub(one, share)), slope, share);
  }
  VF density = vf_mul(vf_set(0.3989422804014327f), vf_exp(vf_mul(vf_set(-0.5f), square)));
  return vf_fma(bounded, density, share);
}

enum { ACTIVATION_CHUNK = 512 };

INLINE void differentiate(dso_activation kind, const float *gate, const float *up, const float *dy, const float *values, float *dgate,
                          float *dup, int64_t count) {
  for (int64_t i = 0; i < count; i += LANES) {
    int64_t n = count - i;
    VF x = load_some(gate + i, n), value = load_some(values + i, n), slope = load_some(dy + i, n);
    VF through = up ? vf_mul(slope, load_some(up + i, n)) : slope;
    if (dgate) store_some(dgate + i, vf_mul(through, derivative(kind, x, value)), n);
    if (dup) store_some(dup + i, vf_mul(slope, value), n);
  }
}

void DSO_KERNEL(gated_activation_backward)(dso_activation kind, const float *gate, const float *up, const float *dy, float *dgate,
                                           float *dup, int64_t count) {
  float values[ACTIVATION_CHUNK] __attribute__((aligned(64)));
  for (int64_t i = 0; i < count; i += ACTIVATION_CHUNK) {
    int64_t n = count - i < ACTIVATION_CHUNK ? count - i : ACTIVATION_CHUNK;
    const float *own = up ? up + i : NULL;
    float *to_gate = dgate ? dgate + i : NULL, *to_up = dup ? dup + i : NULL;
    DSO_KERNEL(gated_activation)(kind, gate + i, NULL, values, n);
    switch (kind) {
      case DSO_ACTIVATION_SILU: differentiate(DSO_ACTIVATION_SILU, gate + i, own, dy + i, values, to_gate, to_up, n); break;
      case DSO_ACTIVATION_GELU_TANH: differentiate(DSO_ACTIVATION_GELU_TANH, gate + i, own, dy + i, values, to_gate, to_up, n); break;
      case DSO_ACTIVATION_GELU_ERF: differentiate(DSO_ACTIVATION_GELU_ERF, gate + i, own, dy + i, values, to_gate, to_up, n); break;
      case DSO_ACTIVATION_RELU: differentiate(DSO_ACTIVATION_RELU, gate + i, own, dy + i, values, to_gate, to_up, n); break;
      case DSO_ACTIVATION_RELU_SQUARED:
        differentiate(DSO_ACTIVATION_RELU_SQUARED, gate + i, own, dy + i, values, to_gate, to_up, n);
        break;
    }
  }
}

enum { SUMMED_ROWS = 64 };

void DSO_KERNEL(sum_rows)(const float *x, int64_t ldx, int64_t rows, int64_t width, float *sums) {
  for (int64_t i = 0; i < width; i += LANES) {
    int64_t n = width - i;
    VF total = vf_zero();
    for (int64_t block = 0; block < rows; block += SUMMED_ROWS) {
      VF sum = vf_zero();
      int64_t end = rows - block < SUMMED_ROWS ? rows : block + SUMMED_ROWS;
      for (int64_t row = block; row < end; row++) sum = vf_add(sum, load_some(x + row * ldx + i, n));
      total = vf_add(total, sum);
    }
    store_some(sums + i, vf_add(load_some(sums + i, n), total), n);
  }
}

void DSO_KERNEL(fake_quantize_rows_s8)(const float *x, int64_t ldx, int64_t rows, int64_t k, float *y, int64_t ldy) {
  VF low = vf_set(-128.0f), high = vf_set(127.0f);
  for (int64_t row = 0; row < rows; row++, x += ldx, y += ldy) {
    VF largest = vf_zero();
    for (int64_t i = 0; i < k; i += LANES) largest = vf_max(vf_abs(load_some(x + i, k - i)), largest);
    float most = vf_largest(largest), scale = most > 0 ? most / 127.5f : 1.0f;
    if (scale == 0) scale = most;
    VF scales = vf_set(scale);
    for (int64_t i = 0; i < k; i += LANES) {
      VF code = vf_min(vf_max(vf_round(vf_div(load_some(x + i, k - i), scales)), low), high);
      store_some(y + i, vf_mul(code, scales), k - i);
    }
  }
}

void DSO_KERNEL(fake_quantize_rows_s8_fixed)(const float *x, int64_t ldx, int64_t rows, int64_t k, float scale, float *y, int64_t ldy) {
  VF low = vf_set(-128.0f), high = vf_set(127.0f), scales = vf_set(scale);
  for (int64_t row = 0; row < rows; row++, x += ldx, y += ldy)
    for (int64_t i = 0; i < k; i += LANES) {
      VF code = vf_min(vf_max(vf_round(vf_div(load_some(x + i, k - i), scales)), low), high);
      store_some(y + i, vf_mul(code, scales), k - i);
    }
}

#endif
