/// Rounding one weight, in steps of its scale, to what codes stand for: portable, for the references and where rows take turns.
#ifndef DSO_STEPS_H
#define DSO_STEPS_H

#include <math.h>
#include <stdint.h>

/// What lies below is clamped by more than rounding: half the outermost distance of 16 ascending levels beyond the lowest.
static inline float dso_below_levels(const float *levels) { return levels[0] - (levels[1] - levels[0]) / 2; }
static inline float dso_above_levels(const float *levels) { return levels[15] + (levels[15] - levels[14]) / 2; }

/// levels: 16 of them, ascending; NULL for whole numbers from -half - zero to half - 1 - zero. Returns 1 where the weight was clamped by more
/// than rounding, 0 elsewhere.
static inline int dso_round_steps(float steps, const float *levels, float zero, float half, float *rounded, uint8_t *code) {
  if (levels) {
    int index = 0;
    for (int i = 1; i < 16; i++)
      if ((levels[i - 1] + levels[i]) / 2 < steps) index = i;
    *rounded = levels[index];
    *code = (uint8_t)index;
    return !(steps >= dso_below_levels(levels) && steps <= dso_above_levels(levels));
  }
  float low = -half - zero, high = half - 1 - zero, nearest = rintf(steps);
  nearest = nearest > low ? nearest : low;
  nearest = nearest < high ? nearest : high;
  *rounded = nearest;
  *code = (uint8_t)(int)(nearest + zero + half);
  return !(steps >= low - 0.5f && steps <= high + 0.5f);
}

#endif
