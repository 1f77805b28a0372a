#include "../dispatch/contraction.h"
#include "../include/StepSizes.h"
#include "stored.h"

void dso_store_scales(const float *scales, int64_t count, dso_scale_type type, float *stored) {
  for (int64_t i = 0; i < count; i++) stored[i] = dso_scale_in_use(scales[i], type);
}

void dso_code_slopes(const uint8_t *codes, const float *gradient, int64_t count, int64_t group_size, int bits, const int8_t *zeros,
                     float *slopes) {
  for (int64_t start = 0, group = 0; start < count; start += group_size, group++) {
    int64_t end = start + group_size < count ? start + group_size : count;
    float offset = (float)((1 << (bits - 1)) + (zeros ? zeros[group] : 0)), sums[16] = {0};
    int64_t i = start;
    for (; i + 16 <= end; i += 16)
      for (int lane = 0; lane < 16; lane++) sums[lane] += gradient[i + lane] * ((float)codes[i + lane] - offset);
    for (int lane = 0; i < end; i++, lane++) sums[lane] += gradient[i] * ((float)codes[i] - offset);
    for (int width = 8; width; width >>= 1)
      for (int lane = 0; lane < width; lane++) sums[lane] += sums[lane + width];
    slopes[group] = sums[0];
  }
}
