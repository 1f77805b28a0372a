/// The half-quadratic solver, for the variant whose vectors are included before this file.
#ifndef DSO_HALF_QUADRATIC_VECTOR_H
#define DSO_HALF_QUADRATIC_VECTOR_H

#include "block.h"
#include "group.h"

/// One pass over a group: the sum of |residual|^p in steps of the grid, and the two sums whose quotient is what the scale, less the
/// residuals that shrinkage takes for outliers, should grow by (as a share of itself).
typedef struct {
  float error, along, square;
} shrinkage;

INLINE shrinkage shrink(const dso_grid_group *g, float scale, int zero_point, float exponent, float beta) {
  VF inverse = vf_set(1.0f / scale), weaker = vf_set(1.0f / beta), power = vf_set(exponent - 1);
  VF low = vf_set(-g->half - (float)zero_point), high = vf_set(g->half - 1 - (float)zero_point);
  VF error[BLOCK_VECTORS], along[BLOCK_VECTORS], square[BLOCK_VECTORS];
  for (int v = 0; v < BLOCK_VECTORS; v++) error[v] = along[v] = square[v] = vf_zero();
  for (int64_t i = 0; i < g->count; i += GRID_BLOCK) {
    for (int v = 0; v < BLOCK_VECTORS; v++) {
      VF steps = vf_mul(vf_load(g->w + i + v * LANES), inverse);
      VF code = vf_round(vf_min(vf_max(steps, low), high)), rest = vf_sub(steps, code);
      // Padding has residual 0 and code 0: its magnitude below is too small to count.
      VF magnitude = vf_max(vf_abs(rest), vf_set(0x1p-80f));
      VF slope = block_exp2(vf_mul(power, block_log2(magnitude)));
      error[v] = vf_add(error[v], vf_mul(magnitude, slope));
      // What is left of the residual when its sparse part, max(|r| - |r|^(p-1) / beta, 0), is taken away.
      VF kept = vf_min(magnitude, vf_mul(slope, weaker));
      kept = vf_where_less(rest, vf_zero(), vf_sub(vf_zero(), kept), kept);
      along[v] = vf_add(along[v], vf_mul(kept, code));
      square[v] = vf_add(square[v], vf_mul(code, code));
    }
  }
  return (shrinkage){block_sum(error), block_sum(along), block_sum(square)};
}

/// |scale|^p, which takes the error from steps to weights.
INLINE float step_norm(float scale, float exponent) {
  float power[LANES];
  vf_store(power, block_exp2(vf_mul(vf_set(exponent), block_log2(vf_set(fabsf(scale))))));
  return power[0];
}

dso_grid DSO_KERNEL(half_quadratic_grid)(const float *w, int64_t count, int bits, int symmetric, dso_scale_type type,
                                         dso_half_quadratic solver, dso_grid start, void *scratch) {
  dso_grid_group g;
  if (!(fabsf(start.scale) < INFINITY) || !dso_prepare_group(&g, w, NULL, count, bits, type, scratch)) return start;
  float begin = dso_usable_scale(&g, start.scale * g.down), best = begin;
  if (begin == 0) return start;
  int reach = symmetric ? 0 : 1, point = start.zero_point;
  float least = INFINITY;
  // The start's own zero point first, so that it is the one to be beaten.
  for (int k = 0; k <= 2 * reach; k++) {
    int zero = start.zero_point + (k == 0 ? 0 : k == 1 ? -1 : 1);
    if (zero < -g.half || zero > g.half - 1) continue;
    double scale = begin;
    float beta = solver.beta, before = INFINITY;
    for (int i = 0; i <= solver.iterations; i++, beta *= solver.growth) {
      float stored = dso_usable_scale(&g, scale);
      if (stored == 0) break;
      shrinkage sums = shrink(&g, stored, zero, solver.exponent, beta);
      float error = sums.error * step_norm(stored, solver.exponent);
      if (error < least) {
        least = error;
        best = stored;
        point = zero;
      }
      if (!(error < before) || !(sums.square > 0)) break;
      before = error;
      scale = stored * (1 + (double)sums.along / sums.square);
    }
  }
  return (dso_grid){(float)(best * g.up), point, least * pow(g.up, solver.exponent)};
}

#endif
