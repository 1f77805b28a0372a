/// Dynamic tanh, for the variant whose vectors are included before this file.
#ifndef DSO_TANH_H
#define DSO_TANH_H

#include "../vectors/exponential.h"

/// 1 - 2 / (e^2t + 1), in double: what cancels near 0 is far below what a float shows.
INLINE VD vd_tanh(VD t) {
  VD one = vd_set(1);
  return vd_sub(one, vd_div(vd_set(2), vd_add(vd_exp(vd_add(t, t)), one)));
}

INLINE VF tanh_line(VF x, VF steepness, VF gain, VF bias) {
  VF t = vf_mul(steepness, x);
  return vf_add(vf_mul(gain, vf_of_vd(vd_tanh(vd_low(t)), vd_tanh(vd_high(t)))), bias);
}

void DSO_KERNEL(dynamic_tanh)(const float *x, int64_t ldx, float steepness, const float *gain, const float *bias, float *y, int64_t ldy,
                              int64_t rows, int64_t width) {
  VF steep = vf_set(steepness);
  for (int64_t row = 0; row < rows; row++, x += ldx, y += ldy) {
    int64_t i = 0;
    for (; i + LANES <= width; i += LANES) vf_store(y + i, tanh_line(vf_load(x + i), steep, vf_load(gain + i), vf_load(bias + i)));
    int64_t n = width - i;
    if (n > 0) vf_store_n(y + i, tanh_line(vf_load_n(x + i, n), steep, vf_load_n(gain + i, n), vf_load_n(bias + i, n)), n);
  }
}

/// Half a vector of the backward pass: what the steepness is multiplied by for x, and the tanh.
INLINE VD tanh_slope(VD x, VD dy, VD gain, VD steepness, VD *tanh) {
  VD t = *tanh = vd_tanh(vd_mul(steepness, x));
  return vd_mul(vd_mul(dy, gain), vd_sub(vd_set(1), vd_mul(t, t)));
}

void DSO_KERNEL(dynamic_tanh_backward)(const float *x, int64_t ldx, float steepness, const float *gain, const float *dy, int64_t lddy,
                                       int accumulate, float *dx, int64_t lddx, float *dgain, float *dsteepness, int64_t rows,
                                       int64_t width) {
  VD steep = vd_set((double)steepness), sums[2] = {vd_zero(), vd_zero()};
  for (int64_t row = 0; row < rows; row++, x += ldx, dy += lddy) {
    for (int64_t i = 0; i < width; i += LANES) {
      // What is loaded beyond the width is 0 and adds nothing.
      int64_t n = width - i < LANES ? width - i : LANES;
      VF value = n == LANES ? vf_load(x + i) : vf_load_n(x + i, n), given = n == LANES ? vf_load(dy + i) : vf_load_n(dy + i, n);
      VF gains = n == LANES ? vf_load(gain + i) : vf_load_n(gain + i, n);
      VD low, high, given_low = vd_low(given), given_high = vd_high(given);
      VD slope_low = tanh_slope(vd_low(value), given_low, vd_low(gains), steep, &low);
      VD slope_high = tanh_slope(vd_high(value), given_high, vd_high(gains), steep, &high);
      sums[0] = vd_add(sums[0], vd_mul(slope_low, vd_low(value)));
      sums[1] = vd_add(sums[1], vd_mul(slope_high, vd_high(value)));
      if (dx) {
        float *to = dx + row * lddx + i;
        VF slope = vf_of_vd(vd_mul(slope_low, steep), vd_mul(slope_high, steep));
        if (accumulate) slope = vf_add(n == LANES ? vf_load(to) : vf_load_n(to, n), slope);
        n == LANES ? vf_store(to, slope) : vf_store_n(to, slope, n);
      }
      if (dgain) {
        VF part = vf_of_vd(vd_mul(given_low, low), vd_mul(given_high, high));
        part = vf_add(n == LANES ? vf_load(dgain + i) : vf_load_n(dgain + i, n), part);
        n == LANES ? vf_store(dgain + i, part) : vf_store_n(dgain + i, part, n);
      }
    }
  }
  if (dsteepness) *dsteepness += (float)vd_sum(vd_add(sums[0], sums[1]));
}

#endif
