/// The part of a Hadamard transform that is no power of two.
#ifndef DSO_PANEL_H
#define DSO_PANEL_H

#include "../include/Transforms.h"

/// Columns that the base matrix mixes together: their sums fit the first-level cache.
enum { DSO_HADAMARD_PANEL = 16 };

/// Multiplies `order` groups of `width` <= DSO_HADAMARD_PANEL numbers, `stride` apart, by the base matrix.
static inline void dso_mix_hadamard(const dso_hadamard *q, float *x, int64_t stride, int64_t width) {
  float sums[DSO_HADAMARD_MAX_ORDER * DSO_HADAMARD_PANEL];
  const int64_t order = q->order;
  for (int64_t i = 0; i < order * DSO_HADAMARD_PANEL; i++) sums[i] = 0;
  for (int64_t a = 0; a < order; a++) {
    const float *from = x + a * stride;
    const float *row = q->base + a * order;
    for (int64_t b = 0; b < order; b++)
      for (int64_t i = 0; i < width; i++) sums[b * DSO_HADAMARD_PANEL + i] += row[b] * from[i];
  }
  for (int64_t b = 0; b < order; b++)
    for (int64_t i = 0; i < width; i++) x[b * stride + i] = sums[b * DSO_HADAMARD_PANEL + i];
}

#endif
