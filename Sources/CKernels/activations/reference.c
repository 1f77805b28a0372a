/// Activations, portable.
#include <math.h>

#include "../dispatch/kernel_table.h"

/// In double, rounded once: what the variants are measured against.
static float activated(dso_activation kind, float x) {
  switch (kind) {
    case DSO_ACTIVATION_SILU: return (float)(x / (1.0 + exp(-(double)x)));
    case DSO_ACTIVATION_GELU_TANH: {
      // 0.5 (1 + tanh u) is the logistic function of 2u, which keeps its relative accuracy far below zero.
      double twice = 1.5957691216057308 * (x + 0.044715 * x * x * x);
      return (float)(x / (1.0 + exp(-twice)));
    }
    case DSO_ACTIVATION_GELU_ERF: return (float)(0.5 * x * erfc(-0.70710678118654752 * x));
    case DSO_ACTIVATION_RELU: return x > 0 || x != x ? x : 0;
    case DSO_ACTIVATION_RELU_SQUARED: return x > 0 || x != x ? x * x : 0;
  }
  return x;
}

void dso_portable_gated_activation(dso_activation kind, const float *gate, const float *up, float *y, int64_t count) {
  for (int64_t i = 0; i < count; i++) y[i] = activated(kind, gate[i]) * (up ? up[i] : 1.0f);
}

void dso_portable_add(const float *x, float *y, int64_t count) {
  for (int64_t i = 0; i < count; i++) y[i] += x[i];
}
