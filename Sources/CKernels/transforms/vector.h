/// Hadamard transforms, for the variant whose vectors are included before this file: sums and differences in the order of the portable one, so
/// the same bits.
#ifndef DSO_TRANSFORMS_VECTOR_H
#define DSO_TRANSFORMS_VECTOR_H

#include <math.h>

#include "panel.h"

enum {
  /// As many neighbours as fit a square of vectors go through all their steps in registers.
  SQUARE = LANES * LANES,
  PANEL_VECTORS = DSO_HADAMARD_PANEL / LANES,
  MIXED = 4,
};

/// The steps between vectors: those whose distance in vectors is below `limit`.
INLINE void step_square(VF r[LANES], int64_t limit) {
#pragma clang loop unroll(full)
  for (int h = 1; h < LANES; h *= 2) {
    if (h >= limit) return;
#pragma clang loop unroll(full)
    for (int i = 0; i < LANES; i++) {
      if (i & h) continue;
      VF a = r[i], b = r[i + h];
      r[i] = vf_add(a, b);
      r[i + h] = vf_sub(a, b);
    }
  }
}

/// The steps below SQUARE of runs in a row of n numbers: first those within a vector, which the transposed square has between vectors.
static void step_near(float *x, int64_t n, int64_t run) {
  int64_t at = 0;
  for (; at + SQUARE <= n; at += SQUARE) {
    VF r[LANES];
    for (int i = 0; i < LANES; i++) r[i] = vf_load(x + at + i * LANES);
    vf_transpose(r);
    step_square(r, run);
    vf_transpose(r);
    step_square(r, run / LANES);
    for (int i = 0; i < LANES; i++) vf_store(x + at + i * LANES, r[i]);
  }
  // What is left is whole runs shorter than a square.
  for (; at < n; at += run)
    for (int64_t h = 1; h < run; h *= 2)
      for (int64_t i = 0; i < run; i++) {
        if (i & h) continue;
        float a = x[at + i], b = x[at + i + h];
        x[at + i] = a + b;
        x[at + i + h] = a - b;
      }
}

/// The same from SQUARE on.
static void step_far(float *x, int64_t n, int64_t run) {
  for (int64_t h = SQUARE; h < run; h *= 2)
    for (int64_t start = 0; start < n; start += 2 * h)
      for (int64_t i = start; i < start + h; i += LANES) {
        VF a = vf_load(x + i), b = vf_load(x + i + h);
        vf_store(x + i, vf_add(a, b));
        vf_store(x + i + h, vf_sub(a, b));
      }
}

/// As dso_mix_hadamard, for whole panels. Products with ±1 are exact, so that fusing them changes nothing.
static void mix_panel(const dso_hadamard *q, float *x, int64_t stride) {
  float sums[DSO_HADAMARD_MAX_ORDER * DSO_HADAMARD_PANEL];
  const int64_t order = q->order;
  for (int64_t first = 0; first < order; first += MIXED) {
    int64_t count = order - first < MIXED ? order - first : MIXED;
    VF acc[MIXED][PANEL_VECTORS];
    for (int b = 0; b < MIXED; b++)
      for (int v = 0; v < PANEL_VECTORS; v++) acc[b][v] = vf_zero();
    for (int64_t a = 0; a < order; a++) {
      const float *row = q->base + a * order;
      VF from[PANEL_VECTORS];
      for (int v = 0; v < PANEL_VECTORS; v++) from[v] = vf_load(x + a * stride + v * LANES);
#pragma clang loop unroll(full)
      for (int b = 0; b < MIXED; b++) {
        // Where there are fewer, the first ones again.
        VF sign = vf_set(row[b < count ? first + b : 0]);
        for (int v = 0; v < PANEL_VECTORS; v++) acc[b][v] = vf_fma(sign, from[v], acc[b][v]);
      }
    }
    for (int64_t b = 0; b < count; b++)
      for (int v = 0; v < PANEL_VECTORS; v++) vf_store(sums + (first + b) * DSO_HADAMARD_PANEL + v * LANES, acc[b][v]);
  }
  for (int64_t b = 0; b < order; b++)
    for (int v = 0; v < PANEL_VECTORS; v++) vf_store(x + b * stride + v * LANES, vf_load(sums + b * DSO_HADAMARD_PANEL + v * LANES));
}

void DSO_KERNEL(hadamard_rows)(const dso_hadamard *q, float *x, int64_t ldx, int64_t rows, int64_t n) {
  const int64_t size = q->size, run = size / q->order;
  const float norm = (float)(1 / sqrt((double)size));
  for (int64_t r = 0; r < rows; r++) {
    float *row = x + r * ldx;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) vf_store(row + i, vf_mul(vf_load(row + i), vf_mul(vf_load(q->signs + i), vf_set(norm))));
    for (; i < n; i++) row[i] *= q->signs[i] * norm;
    if (run > 1) step_near(row, n, run);
    step_far(row, n, run);
    if (q->order == 1) continue;
    for (int64_t start = 0; start < n; start += size) {
      int64_t at = 0;
      for (; at + DSO_HADAMARD_PANEL <= run; at += DSO_HADAMARD_PANEL) mix_panel(q, row + start + at, run);
      if (at < run) dso_mix_hadamard(q, row + start + at, run, run - at);
    }
  }
}

#endif
