/// A group made ready for the search: scaled by a power of two so that its largest magnitude lies in 0.5...1, padded with zeros to whole
/// blocks of 16. All sums run over 16 lanes that are added up in one fixed order, without fused operations, so that every instruction set
/// finds the same bits.
#ifndef DSO_GRID_GROUP_H
#define DSO_GRID_GROUP_H

#include <math.h>

#include "../conversions/scalar.h"
#include "../dispatch/kernel_table.h"

enum {
  GRID_BLOCK = 16,
  /// Sums in double that run side by side.
  GRID_LANES = 8,
};

static inline int64_t dso_padded(int64_t count) { return (count + GRID_BLOCK - 1) / GRID_BLOCK * GRID_BLOCK; }

/// The nearest finite value that the type holds: under an infinite scale even the code of zero would be no number. Weights beyond what the
/// largest scale reaches are clamped, and counted as such.
static inline float dso_stored_scale(float scale, dso_scale_type type) {
  float most = type == DSO_SCALE_F16 ? 65504.0f : type == DSO_SCALE_BF16 ? 0x1.fep127f : 0x1.fffffep127f;
  scale = scale > most ? most : scale < -most ? -most : scale;
  switch (type) {
    case DSO_SCALE_F16: return dso_f32_of_f16(dso_f16_of_f32(scale));
    case DSO_SCALE_BF16: return dso_f32_of_bf16(dso_bf16_of_f32(scale));
    default: return scale;
  }
}

static inline int dso_importance_missing(const float *importance, int64_t count) {
  if (!importance) return 1;
  for (int64_t i = 0; i < count; i++)
    if (importance[i] > 0) return 0;
  return 1;
}

typedef struct {
  const float *w, *importance;  ///< padded to whole blocks
  int64_t count;                ///< of whole blocks
  dso_scale_type type;
  int bits;
  float half;         ///< 2^(bits-1)
  double up, down;    ///< 2^e and 2^-e: a value here times `up` is the value there
  float low, high;    ///< extremes here, 0 included
  float mean, spread; ///< weighted mean and root mean square here
} dso_grid_group;

/// Returns 0 when there is nothing to search: only zeros, or extremes that are not finite.
static inline int dso_prepare_group(dso_grid_group *g, const float *w, const float *importance, int64_t count, int bits,
                                    dso_scale_type type, void *scratch) {
  float low = 0, high = 0, most = 0;
  int missing = dso_importance_missing(importance, count);
  for (int64_t i = 0; i < count; i++) {
    low = w[i] < low ? w[i] : low;
    high = w[i] > high ? w[i] : high;
    if (!missing) most = importance[i] > most ? importance[i] : most;
  }
  float peak = high > -low ? high : -low;
  if (!(peak > 0 && peak < INFINITY)) return 0;
  int exponent;
  frexpf(peak, &exponent);
  g->up = ldexp(1.0, exponent);
  g->down = ldexp(1.0, -exponent);
  g->count = dso_padded(count);
  g->type = type;
  g->bits = bits;
  g->half = (float)(1 << (bits - 1));
  g->low = (float)(low * g->down);
  g->high = (float)(high * g->down);
  float *values = scratch, *weighing = values + g->count;
  g->w = values;
  g->importance = weighing;
  most = most < INFINITY ? most : 0x1.fffffep127f;
  double share = missing ? 1 : 1 / (double)most, total = 0, first = 0, second = 0;
  for (int64_t i = 0; i < count; i++) {
    values[i] = (float)(w[i] * g->down);
    weighing[i] = missing ? 1.0f : importance[i] > most ? 1.0f : importance[i] > 0 ? (float)(importance[i] * share) : 0.0f;
  }
  for (int64_t i = count; i < g->count; i++) values[i] = weighing[i] = 0;
  double totals[GRID_LANES] = {0}, firsts[GRID_LANES] = {0}, seconds[GRID_LANES] = {0};
  for (int64_t i = 0; i < g->count; i += GRID_LANES) {
    for (int lane = 0; lane < GRID_LANES; lane++) {
      double value = values[i + lane], weight = weighing[i + lane];
      totals[lane] += weight;
      firsts[lane] += weight * value;
      seconds[lane] += weight * value * value;
    }
  }
  for (int lane = 0; lane < GRID_LANES; lane++) {
    total += totals[lane];
    first += firsts[lane];
    second += seconds[lane];
  }
  g->mean = (float)(first / total);
  g->spread = (float)sqrt(second / total);
  return 1;
}

/// A scale here as it would be stored, 0 where the type holds no such value or the division by it would overflow.
static inline float dso_usable_scale(const dso_grid_group *g, double scale) {
  float there = dso_stored_scale((float)(scale * g->up), g->type);
  float magnitude = fabsf((float)(there * g->down));
  return magnitude > 0x1p-60f && magnitude < 0x1p60f ? (float)(there * g->down) : 0.0f;
}

/// The rules that follow from the extremes alone, best first to be kept among equals; returns how many.
static inline int dso_rule_grids(float low, float high, int bits, int symmetric, dso_scale_type type, dso_grid grids[3]) {
  float half = (float)(1 << (bits - 1)), steps = 2 * half - 1, peak = -low > high ? -low : high;
  if (symmetric) {
    grids[0].scale = dso_stored_scale((-low > high ? low : high) / -half, type);
    grids[1].scale = dso_stored_scale(peak / (steps / 2), type);
    grids[2].scale = dso_stored_scale(peak / (half - 1), type);
    for (int i = 0; i < 3; i++) grids[i].zero_point = 0;
    return 3;
  }
  grids[0].scale = dso_stored_scale((float)(((double)high - (double)low) / steps), type);
  float point = grids[0].scale == 0 ? 0 : rintf(-low / grids[0].scale) - half;
  grids[0].zero_point = (int)(point < -half ? -half : point > half - 1 ? half - 1 : point);
  return 1;
}

#endif
