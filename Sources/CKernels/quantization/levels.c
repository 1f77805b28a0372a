/// The nearest levels of a table, plain: a few comparisons per weight, which compilers turn into vectors.
#include <math.h>

#include "../dispatch/contraction.h"
#include "../include/CodeLevels.h"

static float largest_magnitude(const float *x, int64_t count) {
  float largest = 0;
  for (int64_t i = 0; i < count; i++) {
    float magnitude = fabsf(x[i]);
    largest = magnitude > largest ? magnitude : largest;
  }
  return largest;
}

/// Ties go to the lower level.
static void nearest(const float *x, int64_t count, float factor, const float *bounds, int bound_count, uint8_t *codes) {
  for (int64_t i = 0; i < count; i++) {
    float value = x[i] * factor;
    int code = 0;
    for (int b = 0; b < bound_count; b++) code += value > bounds[b];
    codes[i] = (uint8_t)code;
  }
}

float dso_quantize_absmax_levels(const float *x, int64_t count, const float *levels, int bits, uint8_t *codes) {
  float bounds[255];
  int bound_count = (1 << bits) - 1;
  for (int b = 0; b < bound_count; b++) bounds[b] = (levels[b] + levels[b + 1]) / 2;
  float scale = largest_magnitude(x, count), factor = 1.0f / (scale < 1e-38f ? 1e-38f : scale);
  // With the number of bounds known the inner loop unrolls.
  if (bits == 4) {
    nearest(x, count, factor, bounds, 15, codes);
  } else {
    nearest(x, count, factor, bounds, bound_count, codes);
  }
  return scale;
}
