/// Learned rounding, portable; and what needs no variants.
#include "../gridsearch/portable.h"

#include "learned.h"

void dso_learned_anchor(const dso_learned_row *r, const uint8_t *codes, float margin, float *weights) {
  int half = 1 << (r->bits - 1);
  for (int64_t i = 0; i < r->count; i++) {
    int64_t group = i / r->group_size;
    float scale = r->start_scales[group], zero = r->shifts ? r->start_zeros[group] : 0, code = (float)codes[i];
    float steps = r->weights[i] / scale, place = code - (float)half - zero;
    if (codes[i] > 0 && steps < place - 0.5f + margin) steps = place - 0.5f + margin;
    if (codes[i] < 2 * half - 1 && steps > place + 0.5f - margin) steps = place + 0.5f - margin;
    weights[i] = steps * scale;
  }
}

double dso_weighted_difference(const float *x, const float *y, float weight, int64_t count, float *difference) {
  // Several sums at a time, in a fixed order: one would wait for each addition.
  double sums[8] = {0};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (int k = 0; k < 8; k++) {
      float d = x[i + k] - y[i + k];
      difference[i + k] = weight * d;
      sums[k] += (double)d * d;
    }
  for (; i < count; i++) {
    float d = x[i] - y[i];
    difference[i] = weight * d;
    sums[0] += (double)d * d;
  }
  return (double)weight * (((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7])));
}
