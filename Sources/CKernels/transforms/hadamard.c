#include <math.h>

#include "../dispatch/kernel_table.h"
#include "panel.h"

/// Sum and difference of `count` pairs.
static void butterfly(float *restrict x, float *restrict y, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    const float a = x[i], b = y[i];
    x[i] = a + b;
    y[i] = a - b;
  }
}

void dso_portable_hadamard_rows(const dso_hadamard *q, float *x, int64_t ldx, int64_t rows, int64_t n) {
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
      for (int64_t i = 0; i < run; i += DSO_HADAMARD_PANEL) dso_mix_hadamard(q, row + start + i, run, run - i < DSO_HADAMARD_PANEL ? run - i : DSO_HADAMARD_PANEL);
  }
}

void dso_hadamard_columns(const dso_hadamard *q, float *x, int64_t ldx, int64_t n, int64_t columns) {
  const int64_t size = q->size, run = size / q->order;
  const float norm = (float)(1 / sqrt((double)size));
  // A few columns at a time: their rows stay in the cache through all steps.
  for (int64_t first = 0; first < columns; first += DSO_HADAMARD_PANEL) {
    float *panel = x + first;
    const int64_t width = columns - first < DSO_HADAMARD_PANEL ? columns - first : DSO_HADAMARD_PANEL;
    for (int64_t i = 0; i < n; i++)
      for (int64_t c = 0; c < width; c++) panel[i * ldx + c] *= q->signs[i] * norm;
    for (int64_t start = 0; start < n; start += run)
      for (int64_t h = 1; h < run; h *= 2)
        for (int64_t i = 0; i < run; i += 2 * h)
          for (int64_t j = start + i; j < start + i + h; j++) butterfly(panel + j * ldx, panel + (j + h) * ldx, width);
    if (q->order == 1) continue;
    for (int64_t start = 0; start < n; start += size)
      for (int64_t i = 0; i < run; i++) dso_mix_hadamard(q, panel + (start + i) * ldx, run * ldx, width);
  }
}

void dso_scaled_difference(const float *q, const float *factors, const float *w, float *out, int64_t count) {
  for (int64_t i = 0; i < count; i++) out[i] = q[i] * factors[i] - w[i];
}
