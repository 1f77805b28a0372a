/// Activations, for the variant whose vectors are included before this file.
#ifndef DSO_ACTIVATIONS_VECTOR_H
#define DSO_ACTIVATIONS_VECTOR_H

#include "../vectors/exponential.h"

/// x / (1 + e^-t): with t = x the sigmoid-weighted unit.
INLINE VF weighted(VF x, VF t) { return vf_div(x, vf_add(vf_set(1.0f), vf_exp(vf_sub(vf_zero(), t)))); }

/// The upper tail of the normal distribution, for x >= 0: e^(-x*x/2) times a smooth function of x, fitted (Remez, degree 10, relative
/// error 5.2e-9) over y = (t - 3.75) / (t + 3.75) with t = x / sqrt(2), after Shepherd and Laframboise, Math. Comp. 36 (1981).
INLINE VF upper_tail(VF x) {
  VF t = vf_mul(x, vf_set(0x1.6a09e6p-1f));
  VF y = vf_div(vf_sub(t, vf_set(3.75f)), vf_add(t, vf_set(3.75f)));
  VF p = vf_set(0.001102731510628744f);
  p = vf_fma(p, y, vf_set(0.002329049397496992f));
  p = vf_fma(p, y, vf_set(-0.009905001920394799f));
  p = vf_fma(p, y, vf_set(0.028048782302396012f));
  p = vf_fma(p, y, vf_set(-0.05873438001675415f));
  p = vf_fma(p, y, vf_set(0.09235745349679765f));
  p = vf_fma(p, y, vf_set(-0.10879279133538895f));
  p = vf_fma(p, y, vf_set(0.08227323125992538f));
  p = vf_fma(p, y, vf_set(0.003584789786715605f));
  p = vf_fma(p, y, vf_set(-0.1402405276700159f));
  p = vf_fma(p, y, vf_set(1.237512635570337f));
  // The square is large where the tail is small: its rounding error is put back.
  VF half = vf_mul(x, vf_set(0.5f)), square = vf_mul(x, half);
  VF rest = vf_fnma(x, half, square);
  VF e = vf_exp(vf_sub(vf_zero(), square));
  e = vf_fma(e, rest, e);
  VF divisor = vf_fma(t, vf_set(4.0f), vf_set(2.0f));
  return vf_div(vf_mul(p, e), divisor);
}

INLINE VF activated(dso_activation kind, VF x) {
  switch (kind) {
    case DSO_ACTIVATION_SILU: return weighted(x, x);
    case DSO_ACTIVATION_GELU_TANH: {
      VF cube = vf_mul(vf_mul(x, x), x);
      return weighted(x, vf_mul(vf_set(1.5957691216057308f), vf_fma(vf_set(0.044715f), cube, x)));
    }
    case DSO_ACTIVATION_GELU_ERF: {
      // Beyond 15 the tail is 0 to float; the bound keeps infinities out of the quotient.
      VF tail = upper_tail(vf_min(vf_set(15.0f), vf_abs(x)));
      VF below = vf_where_less(x, vf_zero(), tail, vf_sub(vf_set(1.0f), tail));
      return vf_mul(vf_max(vf_set(-15.0f), x), below);
    }
    case DSO_ACTIVATION_RELU: return vf_max(vf_zero(), x);
    case DSO_ACTIVATION_RELU_SQUARED: {
      VF passed = vf_max(vf_zero(), x);
      return vf_mul(passed, passed);
    }
  }
}

INLINE void activate_all(dso_activation kind, const float *gate, const float *up, float *y, int64_t count) {
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    VF value = activated(kind, vf_load(gate + i));
    vf_store(y + i, up ? vf_mul(value, vf_load(up + i)) : value);
  }
  int64_t n = count - i;
  if (n <= 0) return;
  VF value = activated(kind, vf_load_n(gate + i, n));
  vf_store_n(y + i, up ? vf_mul(value, vf_load_n(up + i, n)) : value, n);
}

void DSO_KERNEL(gated_activation)(dso_activation kind, const float *gate, const float *up, float *y, int64_t count) {
  switch (kind) {
    case DSO_ACTIVATION_SILU: activate_all(DSO_ACTIVATION_SILU, gate, up, y, count); return;
    case DSO_ACTIVATION_GELU_TANH: activate_all(DSO_ACTIVATION_GELU_TANH, gate, up, y, count); return;
    case DSO_ACTIVATION_GELU_ERF: activate_all(DSO_ACTIVATION_GELU_ERF, gate, up, y, count); return;
    case DSO_ACTIVATION_RELU: activate_all(DSO_ACTIVATION_RELU, gate, up, y, count); return;
    case DSO_ACTIVATION_RELU_SQUARED: activate_all(DSO_ACTIVATION_RELU_SQUARED, gate, up, y, count); return;
  }
}

void DSO_KERNEL(add)(const float *x, float *y, int64_t count) {
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) vf_store(y + i, vf_add(vf_load(y + i), vf_load(x + i)));
  for (; i < count; i++) y[i] += x[i];
}

#endif
