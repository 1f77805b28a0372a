/// One group of every lane: its nearest codes for a grid, and the grid that fits these codes best.
#ifndef DSO_BLOCKS_FIT_H
#define DSO_BLOCKS_FIT_H

#include "../vectors/levels.h"
#include "tile.h"

// MARK: - Codes from 0 to `top`: weight = u * scale + low

typedef struct {
  VF scale, low;
} affine_grid;

/// Weighted sums over a group for its nearest codes u: of r^2, r and r * u, r being what the grid leaves of a weight, and of u and u^2.
typedef struct {
  VF error, pull, pull_u, u, uu;
} affine_sums;

INLINE VF affine_code(VF x, affine_grid grid, VF inverse, VF top) {
  return vf_round(clamped(vf_mul(vf_sub(x, grid.low), inverse), vf_zero(), top));
}

INLINE VF affine_rest(VF x, VF code, affine_grid grid) { return vf_sub(x, vf_add(vf_mul(code, grid.scale), grid.low)); }

INLINE affine_sums affine_pass(lanes group, int count, affine_grid grid, VF top) {
  VF inverse = inverse_of(grid.scale), zero = vf_zero();
  affine_sums s = {zero, zero, zero, zero, zero};
  for (int i = 0; i < count; i++) {
    VF x = vf_load(group.x + i * LANES), q = vf_load(group.importance + i * LANES);
    VF code = affine_code(x, grid, inverse, top), rest = affine_rest(x, code, grid), pull = vf_mul(q, rest), weighed = vf_mul(q, code);
    s.error = vf_add(s.error, vf_mul(pull, rest));
    s.pull = vf_add(s.pull, pull);
    s.pull_u = vf_add(s.pull_u, vf_mul(pull, code));
    s.u = vf_add(s.u, weighed);
    s.uu = vf_add(s.uu, vf_mul(weighed, code));
  }
  return s;
}

/// Only the error and the sum of what is left.
INLINE affine_sums affine_error(lanes group, int count, affine_grid grid, VF top) {
  VF inverse = inverse_of(grid.scale), zero = vf_zero();
  affine_sums s = {zero, zero, zero, zero, zero};
  for (int i = 0; i < count; i++) {
    VF x = vf_load(group.x + i * LANES), q = vf_load(group.importance + i * LANES);
    VF rest = affine_rest(x, affine_code(x, grid, inverse, top), grid), pull = vf_mul(q, rest);
    s.error = vf_add(s.error, vf_mul(pull, rest));
    s.pull = vf_add(s.pull, pull);
  }
  return s;
}

typedef struct {
  affine_grid grid;
  VF error;
} affine_candidate;

INLINE void keep_affine(affine_candidate *best, affine_grid grid, VF error) {
  best->grid.scale = vf_where_less(error, best->error, grid.scale, best->grid.scale);
  best->grid.low = vf_where_less(error, best->error, grid.low, best->grid.low);
  best->error = vf_where_less(error, best->error, error, best->error);
}

/// The grid that fits the codes of these sums best, and its error with these codes. With `below`, its low end is at most 0.
INLINE affine_candidate affine_refit(affine_grid grid, affine_sums s, VF total, int below) {
  VF determinant = vf_sub(vf_mul(total, s.uu), vf_mul(s.u, s.u));
  determinant = vf_where_less(vf_mul(vf_set(1e-6f), vf_mul(total, s.uu)), determinant, determinant, vf_zero());
  VF along = quotient(vf_sub(vf_mul(total, s.pull_u), vf_mul(s.u, s.pull)), determinant);
  VF shift = quotient(vf_sub(vf_mul(s.uu, s.pull), vf_mul(s.u, s.pull_u)), determinant);
  affine_candidate fit = {{vf_add(grid.scale, along), vf_add(grid.low, shift)},
                          vf_sub(s.error, vf_add(vf_mul(along, s.pull_u), vf_mul(shift, s.pull)))};
  if (below) {
    VF up = vf_sub(vf_zero(), grid.low), rest = vf_sub(s.pull_u, vf_mul(up, s.u)), only = quotient(rest, s.uu);
    VF moved = vf_add(s.error, vf_mul(up, vf_sub(vf_mul(up, total), vf_add(s.pull, s.pull))));
    VF excess = fit.grid.low;
    fit.grid.scale = vf_where_positive(excess, vf_add(grid.scale, only), fit.grid.scale);
    fit.error = vf_where_positive(excess, vf_sub(moved, vf_mul(only, rest)), fit.error);
    fit.grid.low = vf_min(excess, vf_zero());
  }
  return fit;
}

// MARK: - Codes from `low` to `high`, or levels: weight = code * scale

typedef struct {
  const float *levels;  ///< 16 of them, ascending; NULL for whole numbers
  VF low, high;
} ladder;

typedef struct {
  VF error, pull_u, uu;
} scale_sums;

INLINE VF ladder_code(const ladder *l, VF value) {
  if (!l->levels) return vf_round(clamped(value, l->low, l->high));
  return nearest_level(value, l->levels);
}

INLINE scale_sums scale_pass(lanes group, int count, VF scale, const ladder *l) {
  VF inverse = inverse_of(scale), zero = vf_zero();
  scale_sums s = {zero, zero, zero};
  for (int i = 0; i < count; i++) {
    VF x = vf_load(group.x + i * LANES), q = vf_load(group.importance + i * LANES);
    VF code = ladder_code(l, vf_mul(x, inverse)), rest = vf_sub(x, vf_mul(code, scale)), pull = vf_mul(q, rest);
    s.error = vf_add(s.error, vf_mul(pull, rest));
    s.pull_u = vf_add(s.pull_u, vf_mul(pull, code));
    s.uu = vf_add(s.uu, vf_mul(vf_mul(q, code), code));
  }
  return s;
}

INLINE VF scale_error(lanes group, int count, VF scale, const ladder *l) {
  VF inverse = inverse_of(scale), error = vf_zero();
  for (int i = 0; i < count; i++) {
    VF x = vf_load(group.x + i * LANES), q = vf_load(group.importance + i * LANES);
    VF rest = vf_sub(x, vf_mul(ladder_code(l, vf_mul(x, inverse)), scale));
    error = vf_add(error, vf_mul(vf_mul(q, rest), rest));
  }
  return error;
}

typedef struct {
  VF scale, error;
} scale_candidate;

INLINE void keep_scale(scale_candidate *best, VF scale, VF error) {
  best->scale = vf_where_less(error, best->error, scale, best->scale);
  best->error = vf_where_less(error, best->error, error, best->error);
}

/// The scale that fits the codes of these sums best, and its error with these codes.
INLINE scale_candidate scale_refit(VF scale, scale_sums s) {
  VF along = quotient(s.pull_u, s.uu);
  return (scale_candidate){vf_add(scale, along), vf_sub(s.error, vf_mul(along, s.pull_u))};
}

// MARK: - What a group is like

typedef struct {
  VF low, high, total;
} extent;

INLINE extent extent_of(lanes group, int count) {
  extent e = {vf_load(group.x), vf_load(group.x), vf_zero()};
  for (int i = 0; i < count; i++) {
    VF x = vf_load(group.x + i * LANES);
    e.low = vf_min(x, e.low);
    e.high = vf_max(x, e.high);
    e.total = vf_add(e.total, vf_load(group.importance + i * LANES));
  }
  return e;
}

INLINE VF peak_of(extent e) { return vf_max(vf_abs(e.low), vf_abs(e.high)); }
/// The extreme of the larger magnitude, with its sign.
INLINE VF signed_peak_of(extent e) { return vf_where_less(e.high, vf_sub(vf_zero(), e.low), e.low, e.high); }

#endif
