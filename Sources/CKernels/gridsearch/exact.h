/// What the search takes in double: in plain C, eight sums side by side, which every compiler makes vectors of and whose order no
/// instruction set changes.
#ifndef DSO_GRID_EXACT_H
#define DSO_GRID_EXACT_H

#include "group.h"

INLINE double sum_of_lanes(const double sums[GRID_LANES]) {
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

INLINE void add_errors(const float *w, const float *importance, float scale, float low, float high, double sums[GRID_LANES]) {
  for (int lane = 0; lane < GRID_LANES; lane++) {
    float steps = w[lane] / scale;
    steps = steps > low ? steps : low;
    steps = steps < high ? steps : high;
    double rest = (double)w[lane] - __builtin_rintf(steps) * scale;
    sums[lane] += (double)(importance[lane] > 0 ? importance[lane] : 0) * (rest * rest);
  }
}

double DSO_KERNEL(grid_error)(const float *w, const float *importance, int64_t count, int bits, float scale, int zero_point) {
  static const float ones[GRID_LANES] = {1, 1, 1, 1, 1, 1, 1, 1};
  int missing = dso_importance_missing(importance, count), half = 1 << (bits - 1);
  float low = (float)(-half - zero_point), high = (float)(half - 1 - zero_point);
  // With scale 0 every weight is represented by 0, whatever it is divided by.
  if (scale == 0) low = high = scale = 0;
  float divisor = scale == 0 ? 1 : scale;
  double sums[GRID_LANES] = {0};
  int64_t i = 0;
  for (; i + GRID_LANES <= count; i += GRID_LANES) add_errors(w + i, missing ? ones : importance + i, divisor, low, high, sums);
  if (i < count) {
    float weights[GRID_LANES] = {0}, weighing[GRID_LANES] = {0};
    memcpy(weights, w + i, (size_t)(count - i) * sizeof *w);
    memcpy(weighing, missing ? ones : importance + i, (size_t)(count - i) * sizeof *w);
    add_errors(weights, weighing, divisor, low, high, sums);
  }
  return sum_of_lanes(sums);
}

void DSO_KERNEL(imatrix_importance)(const float *w, const float *importance, int64_t count, float *out) {
  double sums[GRID_LANES] = {0};
  int64_t whole = count > 0 ? count / GRID_LANES * GRID_LANES : 0;
  for (int64_t i = 0; i < whole; i += GRID_LANES)
    for (int lane = 0; lane < GRID_LANES; lane++) sums[lane] += (double)w[i + lane] * w[i + lane];
  for (int64_t i = whole; i < count; i++) sums[i - whole] += (double)w[i] * w[i];
  double twice = count > 0 ? 2 * sum_of_lanes(sums) / (double)count : 0;
  for (int64_t i = 0; i < count; i++) {
    double root = __builtin_sqrt(twice + (double)w[i] * w[i]);
    out[i] = (float)((importance ? (double)importance[i] : 1) * root);
  }
}

#endif
