#include <math.h>

#include "../dispatch/contraction.h"
#include "../include/Transforms.h"

/// Columns that the base matrix mixes together: their sums fit the first-level cache.
#define PANEL 16

/// Multiplies `order` groups of `width` <= PANEL numbers, `stride` apart, by the base matrix.
static void mix(const dso_hadamard *q, float *x, int64_t stride, int64_t width) {
  float sums[DSO_HADAMARD_MAX_ORDER * PANEL];
  const int64_t order = q->order;
  for (int64_t i = 0; i < order * PANEL; i++) sums[i] = 0;
  for (int64_t a = 0; a < order; a++) {
    const float *from = x + a * stride;
    const float *row = q->base + a * order;
    for (int64_t b = 0; b < order; b++)
      for (int64_t i = 0; i < width; i++) sums[b * PANEL + i] += row[b] * from[i];
  }
  for (int64_t b = 0; b < order; b++)
    for (int64_t i = 0; i < width; i++) x[b * stride + i] = sums[b * PANEL + i];
}

/// Sum and difference of `count` pairs.
static void butterfly(float *restrict x, float *restrict y, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    const float a = x[i], b = y[i];
    x[i] = a + b;
    y[i] = a - b;
  }
}

void dso_hadamard_rows(const dso_hadamard *q, float *x, int64_t ldx, int64_t rows, int64_t n) {
  const int64_t size = q->size, run = size / q->order;
  const float norm = (float)(1 / sqrt((double)size));
  for (int64_t r = 0; r < rows; r++) {
    float *row = x + r * ldx;
    for (int64_t i = 0; i < n; i++) row[i] *= q->signs[i] * norm;
    for (int64_t start = 0; start < n; start += run)
      for (int64_t h = 1; h < run; h *= 2)
        for (int64_t i = 0; i < run; i += 2 * h) butterfly(row + start + i, row + start + i + h, h);
    if (q->order == 1) continue;
    for (int64_t start = 0; start < n; start += size)
      for (int64_t i = 0; i < run; i += PANEL) mix(q, row + start + i, run, run - i < PANEL ? run - i : PANEL);
  }
}

void dso_hadamard_columns(const dso_hadamard *q, float *x, int64_t ldx, int64_t n, int64_t columns) {
  const int64_t size = q->size, run = size / q->order;
  const float norm = (float)(1 / sqrt((double)size));
  // A few columns at a time: their rows stay in the cache through all steps.
  for (int64_t first = 0; first < columns; first += PANEL) {
    float *panel = x + first;
    const int64_t width = columns - first < PANEL ? columns - first : PANEL;
    for (int64_t i = 0; i < n; i++)
      for (int64_t c = 0; c < width; c++) panel[i * ldx + c] *= q->signs[i] * norm;
    for (int64_t start = 0; start < n; start += run)
      for (int64_t h = 1; h < run; h *= 2)
        for (int64_t i = 0; i < run; i += 2 * h)
          for (int64_t j = start + i; j < start + i + h; j++) butterfly(panel + j * ldx, panel + (j + h) * ldx, width);
    if (q->order == 1) continue;
    for (int64_t start = 0; start < n; start += size)
      for (int64_t i = 0; i < run; i++) mix(q, panel + (start + i) * ldx, run * ldx, width);
  }
}

void dso_scaled_difference(const float *q, const float *factors, const float *w, float *out, int64_t count) {
  for (int64_t i = 0; i < count; i++) out[i] = q[i] * factors[i] - w[i];
}
