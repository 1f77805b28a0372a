#include <math.h>

#include "../dispatch/contraction.h"
#include "../float8/e4m3.h"
#include "../include/Float4.h"

enum {
  GROUP = 16,
  /// Codes of scales around the plain one that are tried: from about 0.6 of it, which clips, to 1.75, where the largest weight is at 4 rather
  /// than at 6, and finer levels lie around it.
  BELOW = 5,
  ABOVE = 6,
  LARGEST_SCALE = 0x7e,
};

/// Of magnitudes in units of the scale, the nearest ones that E2M1 has. Ties go to the even code.
static inline float nearest_level(float a) {
  float level = a > 0.25f ? 0.5f : 0;
  level = a >= 0.75f ? 1 : level;
  level = a > 1.25f ? 1.5f : level;
  level = a >= 1.75f ? 2 : level;
  level = a > 2.5f ? 3 : level;
  level = a >= 3.5f ? 4 : level;
  return a > 5 ? 6 : level;
}

static inline int code_of(float a) {
  return (a > 0.25f) + (a >= 0.75f) + (a > 1.25f) + (a >= 1.75f) + (a > 2.5f) + (a >= 3.5f) + (a > 5);
}

/// The sum of importance * error^2 of a group under a scale, in an order that every machine keeps.
static float error_of(const float *magnitudes, const float *importance, float scale) {
  float errors[GROUP];
  for (int i = 0; i < GROUP; i++) {
    float difference = magnitudes[i] - nearest_level(magnitudes[i] / scale) * scale;
    errors[i] = importance[i] * (difference * difference);
  }
  for (int half = GROUP / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) errors[i] += errors[i + half];
  return errors[0];
}

static int best_scale(const dso_nvfp4_search *search, const float *magnitudes, const float *importance) {
  float largest = 0;
  for (int i = 0; i < GROUP; i++) largest = magnitudes[i] > largest ? magnitudes[i] : largest;
  // Of zeros: 1 stands for them as well as any.
  if (largest == 0) return 0x38;
  int plain = (int)e4m3_code(largest / 6 * search->divisor);
  if (plain == 0) plain = 1;
  if (search->plain) return plain;
  int best = plain, last = plain + ABOVE < LARGEST_SCALE ? plain + ABOVE : LARGEST_SCALE;
  float least = error_of(magnitudes, importance, e4m3_value((uint32_t)plain) / search->divisor);
  for (int code = plain > BELOW ? plain - BELOW : 1; code <= last; code++) {
    float error = error_of(magnitudes, importance, e4m3_value((uint32_t)code) / search->divisor);
    if (error < least) best = code, least = error;
  }
  return best;
}

void dso_quantize_nvfp4_row(const dso_nvfp4_search *search, const float *x, const float *importance, int64_t k, uint8_t *codes,
                            uint8_t *scales) {
  float ones[GROUP], magnitudes[GROUP];
  for (int i = 0; i < GROUP; i++) ones[i] = 1;
  for (int64_t begin = 0; begin < k; begin += GROUP) {
    const float *group = x + begin;
    for (int i = 0; i < GROUP; i++) magnitudes[i] = fabsf(group[i]);
    int chosen = best_scale(search, magnitudes, importance ? importance + begin : ones);
    float scale = e4m3_value((uint32_t)chosen) / search->divisor;
    for (int i = 0; i < GROUP; i++) codes[begin + i] = (uint8_t)(code_of(magnitudes[i] / scale) | (group[i] < 0 ? 8 : 0));
    scales[begin / GROUP] = (uint8_t)chosen;
  }
}
