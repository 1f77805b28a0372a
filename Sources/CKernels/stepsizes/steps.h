/// Learned step sizes, for the variant whose vectors are included before this file. No fused operations, and sums over 16 lanes in one order:
/// every instruction set finds the same bits.
#ifndef DSO_STEPS_H
#define DSO_STEPS_H

#include <math.h>
#include <string.h>

#include "../conversions/scalar.h"
#include "../gridsearch/block.h"
#include "../gridsearch/group.h"
#include "../include/StepSizes.h"
#include "stored.h"

typedef struct {
  VF scale, low, high, least, most;
} step_grid;

INLINE step_grid load_steps(const dso_step_row *r, int64_t group) {
  float half = (float)(1 << (r->bits - 1)), zero = r->zeros ? r->zeros[group] : 0, low = -half - zero, high = half - 1 - zero;
  return (step_grid){vf_set(r->stored[group]), vf_set(low), vf_set(high), vf_set(low - 0.5f), vf_set(high + 0.5f)};
}

INLINE VF where_beyond(const step_grid *g, VF steps, VF yes, VF no) {
  return vf_where_less(steps, g->least, yes, vf_where_less(g->most, steps, yes, no));
}

int64_t DSO_KERNEL(step_round)(const dso_step_row *r, float *values, uint8_t *codes) {
  int64_t clamped = 0;
  for (int64_t start = 0, group = 0; start < r->count; start += r->group_size, group++) {
    r->stored[group] = dso_scale_in_use(r->scales[group], r->type);
    step_grid g = load_steps(r, group);
    int64_t end = start + r->group_size < r->count ? start + r->group_size : r->count;
    float shift = (float)(1 << (r->bits - 1)) + (r->zeros ? r->zeros[group] : 0);
    VF outside[BLOCK_VECTORS];
    for (int v = 0; v < BLOCK_VECTORS; v++) outside[v] = vf_zero();
    for (int64_t i = start; i < end; i += GRID_BLOCK) {
      int64_t n = end - i < GRID_BLOCK ? end - i : GRID_BLOCK;
      const float *w = r->weights + i;
      float rest[3][GRID_BLOCK];
      if (n < GRID_BLOCK) {
        memset(rest, 0, sizeof rest);
        memcpy(rest[0], w, (size_t)n * sizeof(float));
        w = rest[0];
      }
      float *out = n == GRID_BLOCK ? values + i : rest[1];
      for (int v = 0; v < BLOCK_VECTORS; v++) {
        VF steps = vf_div(vf_load(w + v * LANES), g.scale), q = vf_round(vf_min(vf_max(steps, g.low), g.high));
        outside[v] = vf_add(outside[v], where_beyond(&g, steps, vf_set(1), vf_zero()));
        vf_store(out + v * LANES, vf_mul(q, g.scale));
        vf_store(rest[2] + v * LANES, q);
      }
      // Padding is 0, which is never clamped: zero points are codes.
      if (n < GRID_BLOCK) memcpy(values + i, rest[1], (size_t)n * sizeof(float));
      if (codes)
        for (int64_t k = 0; k < n; k++) codes[i + k] = (uint8_t)(int)(rest[2][k] + shift);
    }
    clamped += (int64_t)block_sum(outside);
  }
  return clamped;
}

void DSO_KERNEL(step_backward)(const dso_step_row *r, float *gradient, float *scale_gradient) {
  for (int64_t start = 0, group = 0; start < r->count; start += r->group_size, group++) {
    step_grid g = load_steps(r, group);
    int64_t end = start + r->group_size < r->count ? start + r->group_size : r->count;
    VF along[BLOCK_VECTORS], zero = vf_zero();
    for (int v = 0; v < BLOCK_VECTORS; v++) along[v] = zero;
    for (int64_t i = start; i < end; i += GRID_BLOCK) {
      int64_t n = end - i < GRID_BLOCK ? end - i : GRID_BLOCK;
      const float *w = r->weights + i;
      float *slopes = gradient + i, rest[2][GRID_BLOCK];
      if (n < GRID_BLOCK) {
        memset(rest, 0, sizeof rest);
        memcpy(rest[0], w, (size_t)n * sizeof(float));
        memcpy(rest[1], slopes, (size_t)n * sizeof(float));
        w = rest[0], slopes = rest[1];
      }
      for (int v = 0; v < BLOCK_VECTORS; v++) {
        VF steps = vf_div(vf_load(w + v * LANES), g.scale), q = vf_round(vf_min(vf_max(steps, g.low), g.high));
        VF slope = vf_load(slopes + v * LANES), inside = where_beyond(&g, steps, zero, slope);
        along[v] = vf_add(along[v], vf_sub(vf_mul(slope, q), vf_mul(inside, steps)));
        vf_store(slopes + v * LANES, inside);
      }
      if (n < GRID_BLOCK) memcpy(gradient + i, rest[1], (size_t)n * sizeof(float));
    }
    scale_gradient[group] = block_sum(along);
  }
}

#endif
