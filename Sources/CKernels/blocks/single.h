/// Blocks of 32 with numbers of their own.
#ifndef DSO_BLOCKS_SINGLE_H
#define DSO_BLOCKS_SINGLE_H

#include "groups.h"

enum { SINGLE = 32 };

// MARK: - A float16 scale

/// bottom: the code that the extreme has by the plain rule.
INLINE VF single_scale(lanes tile, const ladder *l, float bottom, scan around, int plain) {
  extent e = extent_of(tile, SINGLE);
  VF rule = vf_half(vf_div(signed_peak_of(e), vf_set(bottom)));
  if (plain) return rule;
  scale_candidate best = {rule, scale_error(tile, SINGLE, rule, l)};
  VF fit = best_scale(tile, SINGLE, e, l, bottom, around).scale;
  for (int step = -2; step <= 2; step++) {
    VF near = vf_half(vf_mul(fit, vf_set(1 + (float)step * 0x1p-11f)));
    keep_scale(&best, near, scale_error(tile, SINGLE, near, l));
  }
  for (int turn = 0; turn < around.turns; turn++) {
    VF before = best.error, next = vf_half(scale_refit(best.scale, scale_pass(tile, SINGLE, best.scale, l)).scale);
    keep_scale(&best, next, scale_error(tile, SINGLE, next, l));
    if (!any_less(best.error, before)) break;
  }
  return best.scale;
}

// MARK: - Scale and minimum in float16

INLINE affine_grid half_grid(affine_grid grid) { return (affine_grid){vf_half(grid.scale), vf_half(grid.low)}; }

INLINE affine_grid single_affine(lanes tile, VF top, scan around, int plain) {
  extent e = extent_of(tile, SINGLE);
  affine_grid rule = half_grid(plain_affine(e, top, 0));
  if (plain) return rule;
  affine_candidate best = {rule, affine_error(tile, SINGLE, rule, top).error};
  affine_candidate fit = best_affine(tile, SINGLE, e, top, 0, around);
  for (int step = -1; step <= 1; step++) {
    affine_grid near = {vf_half(vf_mul(fit.grid.scale, vf_set(1 + (float)step * 0x1p-11f))), vf_half(fit.grid.low)};
    for (int turn = 0; turn < 2; turn++) {
      affine_sums sums = affine_error(tile, SINGLE, near, top);
      keep_affine(&best, near, sums.error);
      near.low = vf_half(vf_add(near.low, quotient(sums.pull, e.total)));
    }
  }
  for (int turn = 0; turn < around.turns; turn++) {
    VF before = best.error;
    affine_grid next = half_grid(affine_refit(best.grid, affine_pass(tile, SINGLE, best.grid, top), e.total, 0).grid);
    keep_affine(&best, next, affine_error(tile, SINGLE, next, top).error);
    if (!any_less(best.error, before)) break;
  }
  return best.grid;
}

// MARK: - A power of two

/// 2^n for whole n in -126...127.
INLINE VF power(VF n) {
  // The sum has n + 127 in its low bits.
  VI whole = vi_cast(vf_add(n, vf_set(0x1.8p23f + 127)));
  return vf_cast(vi_shift_left(whole, 23));
}

/// The exponent as it is stored: of the scale that gives the extreme the highest level's exponent, or one beside it.
INLINE VF single_exponent(lanes tile, const ladder *l, int plain) {
  VI bits = vi_cast(peak_of(extent_of(tile, SINGLE)));
  VF rule = vf_max(vf_sub(vf_of_vi(vi_shift_right(bits, 23)), vf_set(2)), vf_zero());
  if (plain) return rule;
  // In steps of the rule's scale, so that nothing leaves the range of float.
  float steps[SINGLE * LANES];
  VF inverse = power(vf_sub(vf_set(127), rule)), kept = rule;
  for (int i = 0; i < SINGLE * LANES; i += LANES) vf_store(steps + i, vf_mul(vf_load(tile.x + i), inverse));
  lanes scaled = {steps, tile.importance};
  VF least = scale_error(scaled, SINGLE, vf_set(1), l);
  for (int step = -1; step <= 1; step += 2) {
    VF next = vf_add(rule, vf_set((float)step)), error = scale_error(scaled, SINGLE, vf_set(step < 0 ? 0.5f : 2), l);
    error = vf_where_less(next, vf_zero(), least, error);
    kept = vf_where_less(error, least, next, kept);
    least = vf_where_less(error, least, error, least);
  }
  return kept;
}

#endif
