/// The best grid of a group by itself, not yet rounded to anything.
#ifndef DSO_BLOCKS_GROUPS_H
#define DSO_BLOCKS_GROUPS_H

#include "fit.h"

/// How many grids are tried around the one of the extremes, and how far from it: as if the extremes were `widest`...`narrowest` codes
/// farther apart. Which scale is best is hard to foresee, for every one rounds differently; so many starts find more than long ways do.
typedef struct {
  int starts, turns;
  float widest, narrowest;
} scan;

INLINE float steps_at(scan around, int t) {
  return around.widest + (around.narrowest - around.widest) * (float)t / (float)(around.starts - 1);
}

INLINE affine_grid plain_affine(extent e, VF top, int below) {
  VF low = below ? vf_min(e.low, vf_zero()) : e.low;
  return (affine_grid){vf_div(vf_sub(vf_max(e.high, low), low), top), low};
}

/// Codes and grid in turn from every start; then from the best for as long as it gains.
INLINE affine_candidate best_affine(lanes group, int count, extent e, VF top, int below, scan around) {
  affine_grid plain = plain_affine(e, top, below);
  VF range = vf_mul(plain.scale, top);
  affine_candidate best = {plain, affine_error(group, count, plain, top).error};
  for (int t = 0; t < around.starts; t++) {
    VF scale = vf_div(range, vf_add(top, vf_set(steps_at(around, t))));
    // In turn the lowest weight has the lowest code, and the highest the highest.
    VF low = t % 2 ? plain.low : vf_add(plain.low, vf_sub(range, vf_mul(scale, top)));
    affine_grid grid = {scale, low};
    affine_candidate fit = affine_refit(grid, affine_pass(group, count, grid, top), e.total, below);
    fit = affine_refit(fit.grid, affine_pass(group, count, fit.grid, top), e.total, below);
    keep_affine(&best, fit.grid, fit.error);
  }
  for (int turn = 0; turn < around.turns; turn++) {
    VF before = best.error;
    affine_candidate fit = affine_refit(best.grid, affine_pass(group, count, best.grid, top), e.total, below);
    keep_affine(&best, fit.grid, fit.error);
    if (!any_less(best.error, before)) break;
  }
  return best;
}

/// Scales of either sign, for the codes reach one farther on one side.
INLINE scale_candidate best_scale(lanes group, int count, extent e, const ladder *l, float bottom, scan around) {
  VF peak = signed_peak_of(e);
  scale_candidate best = {vf_div(peak, vf_set(bottom)), vf_zero()};
  best.error = scale_error(group, count, best.scale, l);
  for (int sign = -1; sign <= 1; sign += 2) {
    for (int t = 0; t < around.starts; t++) {
      VF scale = vf_div(peak, vf_set((float)sign * (fabsf(bottom) + steps_at(around, t))));
      scale_candidate fit = scale_refit(scale, scale_pass(group, count, scale, l));
      keep_scale(&best, fit.scale, fit.error);
    }
  }
  for (int turn = 0; turn < around.turns; turn++) {
    VF before = best.error;
    scale_candidate fit = scale_refit(best.scale, scale_pass(group, count, best.scale, l));
    keep_scale(&best, fit.scale, fit.error);
    if (!any_less(best.error, before)) break;
  }
  return best;
}

#endif
