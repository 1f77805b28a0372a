/// Learned rounding, for the variant whose vectors are included before this file. No fused operations, and sums over 16 lanes in one order:
/// every instruction set finds the same bits.
#ifndef DSO_LEARNED_H
#define DSO_LEARNED_H

#include <math.h>

#include "../conversions/scalar.h"
#include "../gridsearch/block.h"
#include "../gridsearch/group.h"

typedef struct {
  VF scale, low, high, least, most;
} learned_grid;

INLINE learned_grid load_grid(float scale, float zero, int bits) {
  float half = (float)(1 << (bits - 1)), low = -half - zero, high = half - 1 - zero;
  return (learned_grid){vf_set(scale), vf_set(low), vf_set(high), vf_set(low - 0.5f), vf_set(high + 0.5f)};
}

/// `no` where the steps lie within the range of the grid, `yes` where they are clamped.
INLINE VF where_clamped(const learned_grid *g, VF steps, VF yes, VF no) {
  return vf_where_less(steps, g->least, yes, vf_where_less(g->most, steps, yes, no));
}

/// The grid of a group from what was learned of it.
INLINE void settle_grid(const dso_learned_row *r, int64_t group) {
  float scale = dso_stored_scale(r->start_scales[group] * r->factors[group], r->type);
  if (scale != 0 && fabsf(scale) < INFINITY) r->scales[group] = scale;
  float zero = 0, half = (float)(1 << (r->bits - 1));
  if (r->shifts) {
    zero = rintf(r->start_zeros[group] + r->shifts[group]);
    zero = zero < -half ? -half : zero > half - 1 ? half - 1 : zero;
  }
  r->zeros[group] = zero;
}

int64_t DSO_KERNEL(learned_round)(const dso_learned_row *r, float *values, uint8_t *codes) {
  int64_t clamped = 0;
  for (int64_t start = 0, group = 0; start < r->count; start += r->group_size, group++) {
    settle_grid(r, group);
    learned_grid g = load_grid(r->scales[group], r->zeros[group], r->bits);
    int64_t end = start + r->group_size < r->count ? start + r->group_size : r->count;
    float shift = (float)(1 << (r->bits - 1)) + r->zeros[group];
    VF outside[BLOCK_VECTORS];
    for (int v = 0; v < BLOCK_VECTORS; v++) outside[v] = vf_zero();
    for (int64_t i = start; i < end; i += GRID_BLOCK) {
      int64_t n = end - i < GRID_BLOCK ? end - i : GRID_BLOCK;
      const float *w = r->weights + i, *offset = r->offsets + i;
      float rest[4][GRID_BLOCK];
      if (n < GRID_BLOCK) {
        memset(rest, 0, sizeof rest);
        memcpy(rest[0], w, (size_t)n * sizeof(float));
        memcpy(rest[1], offset, (size_t)n * sizeof(float));
        w = rest[0], offset = rest[1];
      }
      float *out = values && n == GRID_BLOCK ? values + i : rest[2];
      for (int v = 0; v < BLOCK_VECTORS; v++) {
        VF steps = vf_add(vf_div(vf_load(w + v * LANES), g.scale), vf_load(offset + v * LANES));
        VF q = vf_round(vf_min(vf_max(steps, g.low), g.high));
        outside[v] = vf_add(outside[v], where_clamped(&g, steps, vf_set(1), vf_zero()));
        vf_store(out + v * LANES, vf_mul(q, g.scale));
        vf_store(rest[3] + v * LANES, q);
      }
      // Padding is 0, which is never clamped: zero points are codes.
      if (values && n < GRID_BLOCK) memcpy(values + i, rest[2], (size_t)n * sizeof(float));
      if (codes)
        for (int64_t k = 0; k < n; k++) codes[i + k] = (uint8_t)(int)(rest[3][k] + shift);
    }
    clamped += (int64_t)block_sum(outside);
  }
  return clamped;
}

INLINE float sign_of(float x) { return x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f; }

void DSO_KERNEL(learned_update)(const dso_learned_row *r, const float *gradient, dso_learned_rates rates) {
  for (int64_t start = 0, group = 0; start < r->count; start += r->group_size, group++) {
    learned_grid g = load_grid(r->scales[group], r->zeros[group], r->bits);
    int64_t end = start + r->group_size < r->count ? start + r->group_size : r->count;
    VF up = vf_set(r->scales[group] < 0 ? -rates.offset : rates.offset), down = vf_sub(vf_zero(), up), zero = vf_zero();
    VF along[BLOCK_VECTORS], beyond[BLOCK_VECTORS];
    for (int v = 0; v < BLOCK_VECTORS; v++) along[v] = beyond[v] = vf_zero();
    for (int64_t i = start; i < end; i += GRID_BLOCK) {
      int64_t n = end - i < GRID_BLOCK ? end - i : GRID_BLOCK;
      const float *w = r->weights + i, *slopes = gradient + i;
      float *offset = r->offsets + i;
      float rest[3][GRID_BLOCK];
      if (n < GRID_BLOCK) {
        memset(rest, 0, sizeof rest);
        memcpy(rest[0], w, (size_t)n * sizeof(float));
        memcpy(rest[1], offset, (size_t)n * sizeof(float));
        memcpy(rest[2], slopes, (size_t)n * sizeof(float));
        w = rest[0], offset = rest[1], slopes = rest[2];
      }
      for (int v = 0; v < BLOCK_VECTORS; v++) {
        VF x = vf_div(vf_load(w + v * LANES), g.scale), before = vf_load(offset + v * LANES);
        VF steps = vf_add(x, before), q = vf_round(vf_min(vf_max(steps, g.low), g.high));
        VF slope = vf_load(slopes + v * LANES);
        VF inside = where_clamped(&g, steps, zero, slope);
        VF step = vf_where_less(zero, inside, up, vf_where_less(inside, zero, down, zero));
        VF after = vf_min(vf_max(vf_sub(before, step), vf_set(-0.5f)), vf_set(0.5f));
        vf_store(offset + v * LANES, after);
        along[v] = vf_add(along[v], vf_sub(vf_mul(slope, q), vf_mul(inside, x)));
        beyond[v] = vf_add(beyond[v], vf_sub(slope, inside));
      }
      if (n < GRID_BLOCK) memcpy(r->offsets + i, rest[1], (size_t)n * sizeof(float));
    }
    float factor = r->factors[group] - rates.factor * sign_of(block_sum(along)) * sign_of(r->start_scales[group]);
    float least = 1 - rates.reach, most = 1 + rates.reach;
    r->factors[group] = factor < least ? least : factor > most ? most : factor;
    if (r->shifts) r->shifts[group] += rates.shift * sign_of(block_sum(beyond)) * sign_of(r->scales[group]);
  }
}

#endif
