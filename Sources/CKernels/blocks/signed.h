/// Blocks of 256 without minima: scales d * scale_code, of either sign.
#ifndef DSO_BLOCKS_SIGNED_H
#define DSO_BLOCKS_SIGNED_H

#include "groups.h"

typedef struct {
  int groups, count;      ///< groups of `count` weights
  float half;             ///< codes are -half..<half
  float lowest, highest;  ///< scale codes
  scan group, step;       ///< of a group by itself; of d
  int turns, reach;       ///< how far scale codes are varied
} signed_plan;

typedef struct {
  VF scale;  ///< d, as float16 holds it
  VF error;
  float scale_codes[MOST_GROUPS * LANES], errors[MOST_GROUPS * LANES];
} signed_parts;

INLINE ladder signed_ladder(const signed_plan *plan) { return (ladder){NULL, vf_set(-plan->half), vf_set(plan->half - 1)}; }

INLINE lanes signed_group(const signed_plan *plan, lanes tile, int g) { return lanes_at(tile, g * plan->count); }

INLINE void judge_signed(const signed_plan *plan, lanes tile, signed_parts *p) {
  ladder codes = signed_ladder(plan);
  p->error = vf_zero();
  for (int g = 0; g < plan->groups; g++) {
    VF scale = vf_mul(p->scale, vf_load(p->scale_codes + g * LANES));
    VF error = scale_error(signed_group(plan, tile, g), plan->count, scale, &codes);
    vf_store(p->errors + g * LANES, error);
    p->error = vf_add(p->error, error);
  }
}

INLINE void keep_signed(const signed_plan *plan, signed_parts *best, const signed_parts *other) {
  VF was = best->error, is = other->error;
  best->scale = vf_where_less(is, was, other->scale, best->scale);
  best->error = vf_where_less(is, was, is, was);
  for (int i = 0; i < plan->groups * LANES; i += LANES) {
    vf_store(best->scale_codes + i, vf_where_less(is, was, vf_load(other->scale_codes + i), vf_load(best->scale_codes + i)));
    vf_store(best->errors + i, vf_where_less(is, was, vf_load(other->errors + i), vf_load(best->errors + i)));
  }
}

/// The codes of scales for a step.
INLINE void nearest_signed(const signed_plan *plan, const float *scales, VF step, float *codes) {
  VF inverse = inverse_of(step);
  for (int i = 0; i < plan->groups * LANES; i += LANES) {
    VF wanted = vf_mul(vf_load(scales + i), inverse);
    vf_store(codes + i, vf_round(clamped(wanted, vf_set(plan->lowest), vf_set(plan->highest))));
  }
}

INLINE VF signed_largest(const float *scales, int groups) {
  VF largest = vf_load(scales);
  for (int g = 1; g < groups; g++) {
    VF scale = vf_load(scales + g * LANES);
    largest = vf_where_less(vf_abs(largest), vf_abs(scale), scale, largest);
  }
  return largest;
}

/// The extreme of every group to its lowest code, the largest scale to the lowest scale code.
INLINE void plain_signed(const signed_plan *plan, lanes tile, signed_parts *p) {
  float scales[MOST_GROUPS * LANES];
  for (int g = 0; g < plan->groups; g++) {
    VF peak = signed_peak_of(extent_of(signed_group(plan, tile, g), plan->count));
    vf_store(scales + g * LANES, vf_div(peak, vf_set(-plan->half)));
  }
  p->scale = vf_half(vf_div(signed_largest(scales, plan->groups), vf_set(plan->lowest)));
  nearest_signed(plan, scales, p->scale, p->scale_codes);
  judge_signed(plan, tile, p);
}

INLINE void try_code(const signed_plan *plan, lanes group, const ladder *codes, signed_parts *p, int g, VF code) {
  float *s = p->scale_codes + g * LANES, *e = p->errors + g * LANES;
  VF next = clamped(code, vf_set(plan->lowest), vf_set(plan->highest)), was = vf_load(e);
  VF error = scale_error(group, plan->count, vf_mul(p->scale, next), codes);
  vf_store(s, vf_where_less(error, was, next, vf_load(s)));
  vf_store(e, vf_where_less(error, was, error, was));
}

INLINE void descend_signed(const signed_plan *plan, lanes tile, signed_parts *p) {
  ladder codes = signed_ladder(plan);
  for (int turn = 0; turn < plan->turns; turn++) {
    VF before = p->error, squares = vf_zero(), pull = vf_zero();
    p->error = vf_zero();
    for (int g = 0; g < plan->groups; g++) {
      lanes group = signed_group(plan, tile, g);
      VF code = vf_load(p->scale_codes + g * LANES);
      for (int step = 1; step <= plan->reach; step++) {
        try_code(plan, group, &codes, p, g, vf_sub(code, vf_set((float)step)));
        try_code(plan, group, &codes, p, g, vf_add(code, vf_set((float)step)));
      }
      for (int step = 1 - plan->reach; step < plan->reach; step++)
        try_code(plan, group, &codes, p, g, vf_sub(vf_set((float)step), code));
      code = vf_load(p->scale_codes + g * LANES);
      scale_sums sums = scale_pass(group, plan->count, vf_mul(p->scale, code), &codes);
      squares = vf_add(squares, vf_mul(vf_mul(code, code), sums.uu));
      pull = vf_add(pull, vf_mul(code, sums.pull_u));
      p->error = vf_add(p->error, vf_load(p->errors + g * LANES));
    }
    signed_parts moved = *p;
    moved.scale = vf_half(vf_add(p->scale, quotient(pull, squares)));
    judge_signed(plan, tile, &moved);
    keep_signed(plan, p, &moved);
    if (!any_less(p->error, before)) return;
  }
}

/// Groups by themselves, then the d whose multiples are nearest to their scales, where nearer means less error; then descent.
INLINE void search_signed(const signed_plan *plan, lanes tile, signed_parts *p) {
  enum { SIZE = MOST_GROUPS * LANES };
  float scales[SIZE], weights[SIZE];
  ladder codes = signed_ladder(plan), steps = {NULL, vf_set(plan->lowest), vf_set(plan->highest)};
  for (int g = 0; g < plan->groups; g++) {
    lanes group = signed_group(plan, tile, g);
    VF scale = best_scale(group, plan->count, extent_of(group, plan->count), &codes, -plan->half, plan->group).scale;
    vf_store(scales + g * LANES, scale);
    vf_store(weights + g * LANES, scale_pass(group, plan->count, scale, &codes).uu);
  }
  lanes of_scales = {scales, weights};
  extent e = extent_of(of_scales, plan->groups);
  VF step = best_scale(of_scales, plan->groups, e, &steps, plan->lowest, plan->step).scale;
  for (int first = 0; first < FIRST_STEPS; first++) {
    signed_parts found;
    found.scale = vf_half(vf_mul(step, vf_set(first_steps[first])));
    nearest_signed(plan, scales, found.scale, found.scale_codes);
    judge_signed(plan, tile, &found);
    descend_signed(plan, tile, &found);
    keep_signed(plan, p, &found);
  }
}

#endif
