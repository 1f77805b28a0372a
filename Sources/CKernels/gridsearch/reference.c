/// The search for grids, portable; and what needs no variants.
#include "portable.h"

#include "vector.h"

int64_t dso_grid_scratch_bytes(int64_t count) { return 2 * dso_padded(count < 0 ? 0 : count) * (int64_t)sizeof(float); }

double dso_grid_error(const float *w, const float *importance, int64_t count, int bits, float scale, int zero_point) {
  int missing = dso_importance_missing(importance, count), half = 1 << (bits - 1);
  float low = (float)(-half - zero_point), high = (float)(half - 1 - zero_point);
  // Several sums at a time, in a fixed order: one would wait for each addition.
  double sums[4] = {0, 0, 0, 0};
  for (int64_t i = 0; i < count; i++) {
    float steps = scale == 0 ? 0 : w[i] / scale;
    steps = steps > low ? steps : low;
    steps = steps < high ? steps : high;
    float weight = rintf(steps) * scale;
    double rest = (double)w[i] - weight;
    sums[i & 3] += (missing ? 1 : importance[i] > 0 ? (double)importance[i] : 0) * (rest * rest);
  }
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

void dso_imatrix_importance(const float *w, const float *importance, int64_t count, float *out) {
  double squares = 0;
  for (int64_t i = 0; i < count; i++) squares += (double)w[i] * w[i];
  double twice = count > 0 ? 2 * squares / (double)count : 0;
  for (int64_t i = 0; i < count; i++) {
    double root = sqrt(twice + (double)w[i] * w[i]);
    out[i] = (float)((importance ? (double)importance[i] : 1) * root);
  }
}
