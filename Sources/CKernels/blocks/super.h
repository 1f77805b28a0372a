/// Blocks of 256 with minima: scales d * scale_code and minima -(dmin * minimum_code), found together.
#ifndef DSO_BLOCKS_SUPER_H
#define DSO_BLOCKS_SUPER_H

#include "groups.h"

/// What a search is about, per type.
typedef struct {
  int groups, count;  ///< groups of `count` weights
  float top;          ///< highest code
  float highest;      ///< highest scale and minimum code
  scan group, step;   ///< of a group by itself; of d and dmin
  int turns;
} super_plan;

/// One set of parts, per group and lane.
typedef struct {
  VF scale, minimum;  ///< d and dmin, as float16 holds them
  VF error;           ///< of the block
  float scale_codes[MOST_GROUPS * LANES], minimum_codes[MOST_GROUPS * LANES], errors[MOST_GROUPS * LANES];
} super_parts;

INLINE affine_grid super_grid(const super_parts *p, VF scale_code, VF minimum_code) {
  return (affine_grid){vf_mul(p->scale, scale_code), vf_sub(vf_zero(), vf_mul(p->minimum, minimum_code))};
}

INLINE affine_grid super_grid_at(const super_parts *p, int g) {
  return super_grid(p, vf_load(p->scale_codes + g * LANES), vf_load(p->minimum_codes + g * LANES));
}

INLINE lanes super_group(const super_plan *plan, lanes tile, int g) { return lanes_at(tile, g * plan->count); }

INLINE void judge_super(const super_plan *plan, lanes tile, super_parts *p) {
  p->error = vf_zero();
  for (int g = 0; g < plan->groups; g++) {
    VF error = affine_error(super_group(plan, tile, g), plan->count, super_grid_at(p, g), vf_set(plan->top)).error;
    vf_store(p->errors + g * LANES, error);
    p->error = vf_add(p->error, error);
  }
}

INLINE void keep_super(const super_plan *plan, super_parts *best, const super_parts *other) {
  VF was = best->error, is = other->error;
  best->scale = vf_where_less(is, was, other->scale, best->scale);
  best->minimum = vf_where_less(is, was, other->minimum, best->minimum);
  best->error = vf_where_less(is, was, is, was);
  for (int i = 0; i < plan->groups * LANES; i += LANES) {
    vf_store(best->scale_codes + i, vf_where_less(is, was, vf_load(other->scale_codes + i), vf_load(best->scale_codes + i)));
    vf_store(best->minimum_codes + i, vf_where_less(is, was, vf_load(other->minimum_codes + i), vf_load(best->minimum_codes + i)));
    vf_store(best->errors + i, vf_where_less(is, was, vf_load(other->errors + i), vf_load(best->errors + i)));
  }
}

/// The codes of values for a step.
INLINE void nearest_codes(const float *values, int groups, VF step, float highest, float *codes) {
  VF inverse = inverse_of(step);
  for (int i = 0; i < groups * LANES; i += LANES)
    vf_store(codes + i, vf_round(clamped(vf_mul(vf_load(values + i), inverse), vf_zero(), vf_set(highest))));
}

INLINE void plain_super(const super_plan *plan, lanes tile, super_parts *p) {
  float scales[MOST_GROUPS * LANES], minima[MOST_GROUPS * LANES];
  VF largest_scale = vf_zero(), largest_minimum = vf_zero();
  for (int g = 0; g < plan->groups; g++) {
    affine_grid grid = plain_affine(extent_of(super_group(plan, tile, g), plan->count), vf_set(plan->top), 1);
    VF minimum = vf_sub(vf_zero(), grid.low);
    vf_store(scales + g * LANES, grid.scale);
    vf_store(minima + g * LANES, minimum);
    largest_scale = vf_max(largest_scale, grid.scale);
    largest_minimum = vf_max(largest_minimum, minimum);
  }
  p->scale = vf_half(vf_div(largest_scale, vf_set(plan->highest)));
  p->minimum = vf_half(vf_div(largest_minimum, vf_set(plan->highest)));
  nearest_codes(scales, plan->groups, p->scale, plan->highest, p->scale_codes);
  nearest_codes(minima, plan->groups, p->minimum, plan->highest, p->minimum_codes);
  judge_super(plan, tile, p);
}

// MARK: - Descent

INLINE void keep_codes(super_parts *p, int g, VF scale_code, VF minimum_code, VF error) {
  float *s = p->scale_codes + g * LANES, *m = p->minimum_codes + g * LANES, *e = p->errors + g * LANES;
  VF was = vf_load(e);
  vf_store(s, vf_where_less(error, was, scale_code, vf_load(s)));
  vf_store(m, vf_where_less(error, was, minimum_code, vf_load(m)));
  vf_store(e, vf_where_less(error, was, error, was));
}

/// Tries the neighbours of a group's codes: with each scale code the same minimum code, and the one that what is left then asks for.
INLINE void descend_group(const super_plan *plan, lanes tile, super_parts *p, int g, VF total) {
  lanes group = super_group(plan, tile, g);
  VF top = vf_set(plan->top), zero = vf_zero(), highest = vf_set(plan->highest), per_step = inverse_of(vf_mul(p->minimum, total));
  VF s0 = vf_load(p->scale_codes + g * LANES), m0 = vf_load(p->minimum_codes + g * LANES);
  for (int step = -1; step <= 1; step++) {
    VF s = clamped(vf_add(s0, vf_set((float)step)), zero, highest), m = m0;
    for (int turn = 0; turn < 2; turn++) {
      affine_sums sums = affine_error(group, plan->count, super_grid(p, s, m), top);
      keep_codes(p, g, s, m, sums.error);
      m = vf_round(clamped(vf_sub(m, vf_mul(sums.pull, per_step)), zero, highest));
    }
  }
  VF s = vf_load(p->scale_codes + g * LANES), m = vf_load(p->minimum_codes + g * LANES);
  for (int step = -1; step <= 1; step += 2) {
    VF next = clamped(vf_add(m, vf_set((float)step)), zero, highest);
    keep_codes(p, g, s, next, affine_error(group, plan->count, super_grid(p, s, next), top).error);
  }
}

/// Moves d and dmin to where they fit all codes best, where that is better.
INLINE void descend_steps(const super_plan *plan, lanes tile, super_parts *p) {
  VF ss = vf_zero(), sm = vf_zero(), mm = vf_zero(), by_s = vf_zero(), by_m = vf_zero();
  for (int g = 0; g < plan->groups; g++) {
    lanes group = super_group(plan, tile, g);
    affine_sums sums = affine_pass(group, plan->count, super_grid_at(p, g), vf_set(plan->top));
    VF s = vf_load(p->scale_codes + g * LANES), m = vf_load(p->minimum_codes + g * LANES), total = extent_of(group, plan->count).total;
    ss = vf_add(ss, vf_mul(vf_mul(s, s), sums.uu));
    sm = vf_add(sm, vf_mul(vf_mul(s, m), sums.u));
    mm = vf_add(mm, vf_mul(vf_mul(m, m), total));
    by_s = vf_add(by_s, vf_mul(s, sums.pull_u));
    by_m = vf_sub(by_m, vf_mul(m, sums.pull));
  }
  VF determinant = vf_sub(vf_mul(ss, mm), vf_mul(sm, sm));
  determinant = vf_where_less(vf_mul(vf_set(1e-6f), vf_mul(ss, mm)), determinant, determinant, vf_zero());
  super_parts moved = *p;
  VF along_s = quotient(vf_add(vf_mul(mm, by_s), vf_mul(sm, by_m)), determinant);
  VF along_m = quotient(vf_add(vf_mul(ss, by_m), vf_mul(sm, by_s)), determinant);
  // Without minima, the scale alone.
  along_s = vf_where_positive(determinant, along_s, quotient(by_s, ss));
  moved.scale = vf_half(vf_add(p->scale, along_s));
  moved.minimum = vf_half(vf_add(p->minimum, along_m));
  judge_super(plan, tile, &moved);
  keep_super(plan, p, &moved);
}

INLINE void descend_super(const super_plan *plan, lanes tile, super_parts *p, const float *totals) {
  for (int turn = 0; turn < plan->turns; turn++) {
    VF before = p->error;
    p->error = vf_zero();
    for (int g = 0; g < plan->groups; g++) {
      descend_group(plan, tile, p, g, vf_load(totals + g * LANES));
      p->error = vf_add(p->error, vf_load(p->errors + g * LANES));
    }
    descend_steps(plan, tile, p);
    if (!any_less(p->error, before)) return;
  }
}

// MARK: - The search

/// Groups by themselves; then the d whose multiples are nearest to their scales, where nearer means less error; the dmin likewise, for
/// the minima that suit these multiples; then descent on the error itself.
INLINE void search_super(const super_plan *plan, lanes tile, super_parts *p) {
  enum { SIZE = MOST_GROUPS * LANES };
  float scales[SIZE], scale_weights[SIZE], minima[SIZE], suited[SIZE], totals[SIZE], slopes[SIZE];
  VF top = vf_set(plan->top);
  for (int g = 0; g < plan->groups; g++) {
    lanes group = super_group(plan, tile, g);
    extent e = extent_of(group, plan->count);
    affine_candidate best = best_affine(group, plan->count, e, top, 1, plan->group);
    affine_sums sums = affine_pass(group, plan->count, best.grid, top);
    VF slope = quotient(sums.u, e.total);
    vf_store(scales + g * LANES, vf_max(best.grid.scale, vf_zero()));
    vf_store(minima + g * LANES, vf_sub(vf_zero(), best.grid.low));
    vf_store(totals + g * LANES, e.total);
    vf_store(slopes + g * LANES, slope);
    vf_store(scale_weights + g * LANES, vf_max(vf_sub(sums.uu, vf_mul(slope, sums.u)), vf_zero()));
  }
  ladder steps = {NULL, vf_zero(), vf_set(plan->highest)};
  lanes of_scales = {scales, scale_weights}, of_minima = {suited, totals};
  VF step = best_scale(of_scales, plan->groups, extent_of(of_scales, plan->groups), &steps, plan->highest, plan->step).scale;
  for (int first = 0; first < FIRST_STEPS; first++) {
    super_parts found;
    found.scale = vf_half(vf_mul(step, vf_set(first_steps[first])));
    nearest_codes(scales, plan->groups, found.scale, plan->highest, found.scale_codes);
    for (int i = 0; i < plan->groups * LANES; i += LANES) {
      VF change = vf_sub(vf_mul(found.scale, vf_load(found.scale_codes + i)), vf_load(scales + i));
      vf_store(suited + i, vf_max(vf_add(vf_load(minima + i), vf_mul(vf_load(slopes + i), change)), vf_zero()));
    }
    found.minimum =
      vf_half(best_scale(of_minima, plan->groups, extent_of(of_minima, plan->groups), &steps, plan->highest, plan->step).scale);
    nearest_codes(suited, plan->groups, found.minimum, plan->highest, found.minimum_codes);
    judge_super(plan, tile, &found);
    descend_super(plan, tile, &found, totals);
    keep_super(plan, p, &found);
  }
}

#endif
