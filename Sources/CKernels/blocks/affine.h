/// Groups of any size with a real scale and minimum each, as a type of few digits holds them.
#ifndef DSO_BLOCKS_AFFINE_H
#define DSO_BLOCKS_AFFINE_H

#include "search.h"

typedef struct {
  int count;  ///< weights in a group
  VF top;     ///< highest code
  dso_scale_type type;
  scan around;
} affine_plan;

/// The nearest bfloat16 that is finite.
INLINE VF vf_brain(VF a) {
  VI bits = vi_cast(clamped(a, vf_set(-0x1.fep127f), vf_set(0x1.fep127f)));
  VI odd = vi_and(vi_shift_right(bits, 16), vi_set(1));
  return vf_cast(vi_and(vi_add(bits, vi_add(odd, vi_set(0x7fff))), vi_set(-0x10000)));
}

INLINE VF stored_value(VF a, dso_scale_type type) {
  return type == DSO_SCALE_F16 ? vf_half(a) : type == DSO_SCALE_BF16 ? vf_brain(a) : a;
}

/// Scales that nothing can be divided by become 0.
INLINE affine_grid stored_grid(affine_grid grid, dso_scale_type type) {
  VF scale = stored_value(grid.scale, type);
  return (affine_grid){vf_where_less(vf_set(0x1p-120f), vf_abs(scale), scale, vf_zero()), stored_value(grid.low, type)};
}

/// A step of the type's last digit, as a share.
INLINE float last_digit(dso_scale_type type) { return type == DSO_SCALE_F16 ? 0x1p-11f : type == DSO_SCALE_BF16 ? 0x1p-8f : 0x1p-24f; }

INLINE VF affine_judged(const affine_plan *plan, lanes tile, affine_grid grid, affine_candidate *best) {
  affine_sums sums = affine_error(tile, plan->count, grid, plan->top);
  keep_affine(best, grid, sums.error);
  return sums.pull;
}

/// The extreme of the larger magnitude is the weight of the first code, and 0 that of another where it lies between.
INLINE affine_grid edge_rule(const affine_plan *plan, extent e) {
  VF magnitude = vf_abs(e.high), edge = vf_where_less(magnitude, vf_abs(e.low), e.low, e.high);
  VF scale = vf_sub(vf_div(e.high, plan->top), vf_div(e.low, plan->top));
  scale = vf_where_less(magnitude, vf_abs(e.low), scale, vf_sub(vf_zero(), scale));
  VF first = vf_round(clamped(vf_mul(edge, inverse_of(scale)), vf_set(-0x1p20f), vf_set(0x1p20f)));
  VF exact = vf_mul(edge, inverse_of(first));
  return (affine_grid){vf_where_positive(vf_abs(first), exact, scale), vf_where_positive(vf_abs(first), edge, vf_zero())};
}

/// The better of the two rules.
INLINE affine_candidate affine_rules(const affine_plan *plan, lanes tile, extent e) {
  VF scale = vf_sub(vf_div(e.high, plan->top), vf_div(e.low, plan->top));
  affine_candidate best = {stored_grid((affine_grid){scale, e.low}, plan->type), vf_zero()};
  best.error = affine_error(tile, plan->count, best.grid, plan->top).error;
  affine_judged(plan, tile, stored_grid(edge_rule(plan, e), plan->type), &best);
  return best;
}

/// The neighbours of a grid among those that can be stored, in either direction of the codes. What a scale has gained or lost is shared by
/// both ends; then the minimum is moved by what is left, and to its own neighbours.
INLINE void affine_neighbours(const affine_plan *plan, lanes tile, extent e, affine_grid fit, affine_candidate *best) {
  enum { REACH = 3 };
  float digit = last_digit(plan->type);
  int reach = plan->type == DSO_SCALE_F32 ? 0 : REACH;
  VF middle = vf_mul(plan->top, vf_set(0.5f));
  for (int direction = 0; direction < 2; direction++) {
    for (int step = -reach; step <= reach; step++) {
      affine_grid near = stored_grid((affine_grid){vf_mul(fit.scale, vf_set(1 + (float)step * digit)), fit.low}, plan->type);
      near.low = stored_value(vf_add(fit.low, vf_mul(vf_sub(fit.scale, near.scale), middle)), plan->type);
      VF pull = affine_judged(plan, tile, near, best);
      VF low = vf_add(near.low, quotient(pull, e.total));
      for (int neighbour = reach ? -1 : 0; neighbour <= (reach ? 1 : 0); neighbour++) {
        near.low = stored_value(vf_mul(low, vf_set(1 + (float)neighbour * digit)), plan->type);
        affine_judged(plan, tile, near, best);
      }
    }
    fit = (affine_grid){vf_sub(vf_zero(), fit.scale), vf_add(fit.low, vf_mul(plan->top, fit.scale))};
  }
}

INLINE affine_grid affine_search(const affine_plan *plan, lanes tile, int plain) {
  extent e = extent_of(tile, plan->count);
  affine_candidate best = affine_rules(plan, tile, e);
  if (plain) return best.grid;
  affine_neighbours(plan, tile, e, best_affine(tile, plan->count, e, plan->top, 0, plan->around).grid, &best);
  for (int turn = 0; turn < plan->around.turns; turn++) {
    VF before = best.error;
    affine_candidate next = affine_refit(best.grid, affine_pass(tile, plan->count, best.grid, plan->top), e.total, 0);
    affine_judged(plan, tile, stored_grid(next.grid, plan->type), &best);
    if (!any_less(best.error, before)) break;
  }
  return best.grid;
}

// MARK: - Rows

/// By bits.
static const scan affine_scans[9] = {{0, 0, 0, 0},  {0, 0, 0, 0},  {20, 4, -1.5f, 2}, {24, 4, -2, 2.5f}, {28, 4, -4, 3},
                                     {28, 4, -8, 3}, {24, 4, -10, 4}, {24, 4, -12, 3},   {24, 4, -12, 3}};

/// Where the groups of the lanes go.
typedef struct {
  int count;            ///< lanes in use
  int64_t group[LANES]; ///< number of the group, over all rows
  uint8_t *to[LANES];   ///< its codes, one to a byte
  int64_t size[LANES];  ///< its weights
} affine_outlet;

INLINE void affine_tile(const affine_plan *plan, int plain, lanes tile, const affine_outlet *out, float *scales, float *minima) {
  affine_grid grid = affine_search(plan, tile, plain);
  VF inverse = inverse_of(grid.scale);
  float values[LANES];
  // Where all weights are one there is no step, and any other scale says the same.
  vf_store(values, vf_where_positive(vf_abs(grid.scale), grid.scale, vf_set(1)));
  for (int lane = 0; lane < out->count; lane++) scales[out->group[lane]] = values[lane];
  vf_store(values, grid.low);
  for (int lane = 0; lane < out->count; lane++) minima[out->group[lane]] = values[lane];
  for (int i = 0; i < plan->count; i++) {
    vf_store(values, affine_code(vf_load(tile.x + (int64_t)i * LANES), grid, inverse, plan->top));
    for (int lane = 0; lane < out->count; lane++)
      if (i < out->size[lane]) out->to[lane][i] = (uint8_t)values[lane];
  }
}

/// A group in its lane. What a short one lacks is a weight of its own that does not count.
INLINE void fill_lane(lanes tile, int lane, int64_t group, const float *x, const float *importance, int64_t size) {
  for (int64_t i = 0; i < group; i++) {
    tile.x[i * LANES + lane] = i < size ? x[i] : x[0];
    tile.importance[i * LANES + lane] = i < size ? importance[i] : 0;
  }
}

/// A row in whole vectors of any width.
INLINE int64_t affine_room(int64_t k) { return (k + 15) / 16 * 16; }

/// As weigh_row, for rows that are no whole vectors.
INLINE void weigh_any_row(const float *x, const float *importance, int by_magnitude, int64_t k, float *to) {
  int64_t room = affine_room(k);
  if (by_magnitude) DSO_KERNEL(imatrix_importance)(x, importance, k, to);
  if (!by_magnitude && importance) memcpy(to, importance, (size_t)k * sizeof *to);
  for (int64_t i = k; i < room; i++) to[i] = 0;
  weigh_row(x, by_magnitude || importance ? to : NULL, 0, room, to);
}

int64_t DSO_KERNEL(quantize_affine)(const dso_affine_search *search, const float *x, int64_t ldx, int64_t rows, int64_t k,
                                    const float *importance, uint32_t *words, float *scales, float *minima, void *scratch) {
  int64_t group = dso_min_i64(search->group, k);
  if (k <= 0 || group <= 0) return 0;
  static const float nothing = 0, counted = 1;
  int64_t groups = (k + group - 1) / group, row_words = (k * search->bits + 31) / 32, others = 0;
  int bits = search->bits;
  affine_plan plan = {(int)group, vf_set((float)((1 << bits) - 1)), search->type, affine_scans[bits]};
  int64_t room = affine_room(k);
  float *values = scratch, *weighing = values + room;
  lanes tile = {weighing + room, weighing + room + group * LANES};
  uint8_t *codes = (uint8_t *)(tile.importance + group * LANES);
  affine_outlet out = {.count = 0};
  for (int64_t row = 0; row < rows; row++) {
    others += finite_row(x + row * ldx, k, values);
    // Without magnitudes, all rows weigh alike.
    if (row == 0 || search->by_magnitude) weigh_any_row(values, importance, search->by_magnitude, k, weighing);
    for (int64_t g = 0; g < groups; g++) {
      int64_t start = g * group, size = dso_min_i64(group, k - start);
      fill_lane(tile, out.count, group, values + start, weighing + start, size);
      out.group[out.count] = row * groups + g;
      out.to[out.count] = codes + row * k + start;
      out.size[out.count++] = size;
      if (out.count < LANES && (row + 1 < rows || g + 1 < groups)) continue;
      for (int lane = out.count; lane < LANES; lane++) fill_lane(tile, lane, group, &nothing, &counted, 1);
      affine_tile(&plan, search->plain, tile, &out, scales, minima);
      out.count = 0;
    }
  }
  for (int64_t row = 0; row < rows; row++) DSO_KERNEL(pack_codes)(codes + row * k, k, bits, words + row * row_words);
  return others;
}

#endif
