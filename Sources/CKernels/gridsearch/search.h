/// The search, for the variant whose vectors are included before this file.
#ifndef DSO_GRID_SEARCH_VECTOR_H
#define DSO_GRID_SEARCH_VECTOR_H

#include "block.h"
#include "group.h"

/// What one pass over a group says about a scale: the weighted squared error of the nearest codes, and for the scale that fits these codes
/// best (this one + along / square) its two sums.
typedef struct {
  float error, along, square;
} fit;

INLINE fit fit_of(const dso_grid_group *g, float scale, float lowest, float highest) {
  VF inverse = vf_set(1.0f / scale), step = vf_set(scale), low = vf_set(lowest), high = vf_set(highest);
  VF error[BLOCK_VECTORS], along[BLOCK_VECTORS], square[BLOCK_VECTORS];
  for (int v = 0; v < BLOCK_VECTORS; v++) error[v] = along[v] = square[v] = vf_zero();
  for (int64_t i = 0; i < g->count; i += GRID_BLOCK) {
    for (int v = 0; v < BLOCK_VECTORS; v++) {
      VF w = vf_load(g->w + i + v * LANES), q = vf_load(g->importance + i + v * LANES);
      VF code = vf_round(vf_min(vf_max(vf_mul(w, inverse), low), high));
      VF rest = vf_sub(w, vf_mul(code, step)), pull = vf_mul(q, rest);
      error[v] = vf_add(error[v], vf_mul(pull, rest));
      along[v] = vf_add(along[v], vf_mul(pull, code));
      square[v] = vf_add(square[v], vf_mul(vf_mul(q, code), code));
    }
  }
  return (fit){block_sum(error), block_sum(along), block_sum(square)};
}

typedef struct {
  float scale;
  int zero_point;
  float error;
} candidate;

/// The best scales of a scan, smallest error first: between the scales that were tried, another may be the best.
enum { SHORTLISTED = 6 };
typedef struct {
  candidate places[SHORTLISTED];
} shortlist;

INLINE void enter(shortlist *list, candidate entry) {
  candidate *last = list->places + SHORTLISTED - 1;
  if (!(entry.error < last->error)) return;
  for (; last > list->places && entry.error < last[-1].error; last--) *last = last[-1];
  *last = entry;
}

INLINE VF squared_error(VF w, VF q, VF code, VF step) {
  VF rest = vf_sub(w, vf_mul(code, step));
  return vf_mul(vf_mul(q, rest), rest);
}

/// The error of a scale as it would be stored.
INLINE candidate judged(const dso_grid_group *g, double scale, int zero_point) {
  float usable = dso_usable_scale(g, scale);
  if (usable == 0) return (candidate){0, 0, INFINITY};
  VF inverse = vf_set(1.0f / usable), step = vf_set(usable), error[BLOCK_VECTORS];
  VF low = vf_set(-g->half - (float)zero_point), high = vf_set(g->half - 1 - (float)zero_point);
  for (int v = 0; v < BLOCK_VECTORS; v++) error[v] = vf_zero();
  for (int64_t i = 0; i < g->count; i += GRID_BLOCK) {
    for (int v = 0; v < BLOCK_VECTORS; v++) {
      VF w = vf_load(g->w + i + v * LANES), q = vf_load(g->importance + i + v * LANES);
      VF code = vf_round(vf_min(vf_max(vf_mul(w, inverse), low), high));
      error[v] = vf_add(error[v], squared_error(w, q, code, step));
    }
  }
  return (candidate){usable, zero_point, block_sum(error)};
}

/// `judged` for a positive scale and its negative with zero point 0: their codes differ in what is clipped only.
INLINE void judge_both_signs(const dso_grid_group *g, double scale, shortlist *best) {
  float usable = dso_usable_scale(g, scale);
  if (usable == 0) return;
  VF inverse = vf_set(1.0f / usable), step = vf_set(usable), positive[BLOCK_VECTORS], negative[BLOCK_VECTORS];
  VF half = vf_set(g->half), less = vf_set(g->half - 1), minus_half = vf_set(-g->half), minus_less = vf_set(1 - g->half);
  for (int v = 0; v < BLOCK_VECTORS; v++) positive[v] = negative[v] = vf_zero();
  for (int64_t i = 0; i < g->count; i += GRID_BLOCK) {
    for (int v = 0; v < BLOCK_VECTORS; v++) {
      VF w = vf_load(g->w + i + v * LANES), q = vf_load(g->importance + i + v * LANES);
      VF code = vf_round(vf_min(vf_max(vf_mul(w, inverse), minus_half), half));
      positive[v] = vf_add(positive[v], squared_error(w, q, vf_min(code, less), step));
      negative[v] = vf_add(negative[v], squared_error(w, q, vf_max(code, minus_less), step));
    }
  }
  enter(best, (candidate){usable, 0, block_sum(positive)});
  enter(best, (candidate){-usable, 0, block_sum(negative)});
}

/// Judges a scale, and the one that fits its codes, each as it would be stored.
INLINE void judge_with_fit(const dso_grid_group *g, double scale, int zero_point, candidate *best) {
  float usable = dso_usable_scale(g, scale);
  for (int step = 0; step < 2 && usable != 0; step++) {
    fit sums = fit_of(g, usable, -g->half - (float)zero_point, g->half - 1 - (float)zero_point);
    if (sums.error < best->error) *best = (candidate){usable, zero_point, sums.error};
    if (!(sums.square > 0)) return;
    float next = dso_usable_scale(g, usable + (double)sums.along / sums.square);
    if (next == usable) return;
    usable = next;
  }
}

/// Steps that are best for a normal distribution of spread 1, by bits: what outliers make too wide is narrowed towards these.
static const float normal_steps[9] = {0, 0, 0.996f, 0.586f, 0.335f, 0.188f, 0.104f, 0.057f, 0.031f};

/// Scales of the first scan: the error jumps from one to the next where codes are few, and is smooth where they are many.
INLINE int step_roots(const dso_grid_group *g) { return g->bits <= 3 ? 6 : 4; }

/// From `widest` down to where it is certain that clipping costs more than it gains: the factor from one scale to the next.
INLINE double step_ratio(const dso_grid_group *g, double widest, double by_extremes, double spread) {
  double by_spread = 0.6 * normal_steps[g->bits] * spread, narrowest = 0.7 * by_extremes;
  if (by_spread < narrowest) narrowest = by_spread;
  if (narrowest < widest / 64) narrowest = widest / 64;
  double ratio = narrowest / widest;
  // Roots, for their bits are the same with every library.
  for (int i = 0; i < step_roots(g); i++) ratio = sqrt(ratio);
  return ratio;
}

INLINE void scan_symmetric(const dso_grid_group *g, shortlist *best, double *ratio) {
  double peak = g->high > -g->low ? g->high : -g->low, scale = peak / (g->half - 1.5);
  *ratio = step_ratio(g, scale, peak / g->half, g->spread);
  for (int i = 0; i <= 1 << step_roots(g); i++, scale *= *ratio) {
    judge_both_signs(g, scale, best);
  }
}

INLINE int clamped_point(const dso_grid_group *g, double point) {
  return (int)(point < -g->half ? -g->half : point > g->half - 1 ? g->half - 1 : point);
}

INLINE void scan_asymmetric(const dso_grid_group *g, shortlist *best, double *ratio) {
  enum { POINTS = 4 };
  double range = (double)g->high - g->low, levels = 2 * g->half - 1, scale = range / (levels - 1.5);
  double variance = (double)g->spread * g->spread - (double)g->mean * g->mean;
  *ratio = step_ratio(g, scale, range / levels, sqrt(variance > 0 ? variance : 0));
  for (int i = 0; i <= 1 << step_roots(g); i++, scale *= *ratio) {
    // From the zero point that keeps the smallest weight to the one that keeps the largest.
    int from = clamped_point(g, -g->half - rint(g->low / scale)), to = clamped_point(g, g->half - 1 - rint(g->high / scale));
    int span = to - from, last = span < 0 ? -span : span;
    if (last > POINTS) last = POINTS;
    for (int k = 0; k <= last; k++) enter(best, judged(g, scale, last == 0 ? from : from + span * k / last));
  }
}

INLINE void keep_better(candidate *best, candidate other) {
  if (other.error < best->error) *best = other;
}

/// Between the neighbours of the best scale of the scan, then codes and scale in turn until nothing is gained.
INLINE void refine(const dso_grid_group *g, int symmetric, double ratio, candidate *best) {
  enum { BETWEEN = 8, TURNS = 8 };
  if (best->scale == 0) return;
  double fine = sqrt(sqrt(sqrt(ratio))), scale = best->scale / ratio;
  int reach = symmetric ? 0 : 1, point = best->zero_point;
  for (int i = 0; i <= 2 * BETWEEN; i++, scale *= fine)
    for (int d = -reach; d <= reach; d++)
      if (point + d >= -g->half && point + d <= g->half - 1) keep_better(best, judged(g, scale, point + d));
  for (int turn = 0; turn < TURNS; turn++) {
    float before = best->error;
    point = best->zero_point;
    scale = best->scale;
    for (int d = -reach; d <= reach; d++)
      if (point + d >= -g->half && point + d <= g->half - 1) judge_with_fit(g, scale, point + d, best);
    if (!(best->error < before)) return;
  }
}

dso_grid DSO_KERNEL(search_grid)(const float *w, const float *importance, int64_t count, int bits, int symmetric, dso_scale_type type,
                                 void *scratch) {
  dso_grid result = {1, 0, INFINITY};
  dso_grid_group g;
  int searchable = dso_prepare_group(&g, w, importance, count, bits, type, scratch);
  if (searchable) {
    shortlist list;
    for (int i = 0; i < SHORTLISTED; i++) list.places[i] = (candidate){0, 0, INFINITY};
    double ratio = 1;
    if (symmetric) {
      scan_symmetric(&g, &list, &ratio);
    } else {
      scan_asymmetric(&g, &list, &ratio);
    }
    candidate best = list.places[0];
    for (int i = 0; i < SHORTLISTED; i++) judge_with_fit(&g, list.places[i].scale, list.places[i].zero_point, &best);
    refine(&g, symmetric, ratio, &best);
    // The last word is in double and by exact division, against the rules.
    dso_grid grids[4];
    int found = dso_rule_grids((float)(g.low * g.up), (float)(g.high * g.up), bits, symmetric, type, grids);
    if (best.scale != 0) grids[found++] = (dso_grid){(float)(best.scale * g.up), best.zero_point, 0};
    for (int i = 0; i < found; i++) {
      if (grids[i].scale == 0 || !(fabsf(grids[i].scale) < INFINITY)) continue;
      grids[i].error = DSO_KERNEL(grid_error)(w, importance, count, bits, grids[i].scale, grids[i].zero_point);
      if (grids[i].error < result.error) result = grids[i];
    }
  }
  if (!(result.error < INFINITY)) result = (dso_grid){1, 0, DSO_KERNEL(grid_error)(w, importance, count, bits, 1, 0)};
  return result;
}

#endif
