/// Coordinate descent over codes, for the variant whose vectors are included before this file.
#ifndef DSO_DESCENT_H
#define DSO_DESCENT_H

#include <math.h>
#include <string.h>

#include "../quantization/codes.h"
#include "blocking.h"

/// to[r] += factor * from[r]; `to` has room for whole vectors.
INLINE void add_multiple(float factor, const float *from, float *to, int64_t rows) {
  VF factors = vf_set(factor);
  int64_t r = 0;
  for (; r + LANES <= rows; r += LANES) vf_store(to + r, vf_fma(factors, vf_load(from + r), vf_load(to + r)));
  if (r < rows) vf_store(to + r, vf_fma(factors, vf_load_n(from + r, rows - r), vf_load(to + r)));
}

int64_t DSO_KERNEL(descend_tile)(const dso_descent_step *step) {
  enum { MOST = DSO_FEEDBACK_COLUMNS };
  float slopes[MOST] __attribute__((aligned(64))), spread[MOST] __attribute__((aligned(64)));
  float diagonal[MOST] __attribute__((aligned(64))) = {0};
  int64_t moving[MOST], moved_columns = 0, moved = 0, rows = step->rows;
  float most = (float)((1 << step->bits) - 1);
  for (int64_t r = 0; r < rows; r++) diagonal[r] = step->g ? step->g[r * step->ldg + r] : 1;
  for (int64_t p = 0; p < step->columns; p++) {
    float *products = step->products + p * step->ld_products;
    const float *h = step->h + p * step->ldh, *scales = step->scales + step->groups[p] * step->ld_scales;
    // Columns before this one hold G times their changes instead of their products.
    for (int64_t r = 0; r < rows; r += LANES) {
      VF sum = vf_load(products + r);
      for (int64_t s = 0; s < moved_columns; s++)
        sum = vf_fma(vf_set(h[moving[s]]), vf_load(step->products + moving[s] * step->ld_products + r), sum);
      vf_store(slopes + r, sum);
      vf_store(spread + r, vf_zero());
    }
    float pivot = h[p], *changes = step->changes + p * step->ld;
    uint8_t *codes = step->codes + p * step->ld;
    memset(changes, 0, (size_t)rows * sizeof *changes);
    int64_t before = moved;
    for (int64_t first = 0; first < rows; first += LANES) {
      // Most codes stay where they are: one look at all of a vector.
      int64_t end = dso_min_i64(rows, first + LANES);
      VF slope = vf_add(vf_load(slopes + first), vf_mul(vf_set(pivot), vf_load(spread + first)));
      VF curvatures = vf_mul(vf_mul(vf_load(diagonal + first), vf_set(pivot)), vf_load(scales + first));
      if (!vf_outside(vf_div(slope, curvatures), vf_set(-DSO_DESCENT_LIMIT), vf_set(DSO_DESCENT_LIMIT), end - first)) continue;
      for (int64_t r = first; r < end; r++) {
        float scale = scales[r], curvature = diagonal[r] * pivot * scale;
        float steps = (slopes[r] + pivot * spread[r]) / curvature;
        if (!(fabsf(steps) > DSO_DESCENT_LIMIT && fabsf(steps) < 1e30f)) continue;
        float old = codes[r], code = old + rintf(steps);
        code = code > 0 ? code : 0;
        code = code < most ? code : most;
        float move = code - old, change = -move * scale;
        if (move == 0) continue;
        codes[r] = (uint8_t)(int)code;
        changes[r] = change;
        step->gains[r] += (double)curvature * scale * move * (2.0 * steps - move);
        moved++;
        if (step->g) {
          add_multiple(change, step->g + r * step->ldg, spread, rows);
        } else {
          spread[r] = change;
        }
      }
    }
    if (moved == before) continue;
    moving[moved_columns++] = p;
    for (int64_t r = 0; r < rows; r += LANES) vf_store(products + r, vf_load(spread + r));
  }
  return moved;
}

#endif
