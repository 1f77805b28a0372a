#include <math.h>
#include <string.h>

#include "../dispatch/kernel_table.h"

void dso_portable_adamw_step(const dso_adamw *step, const float *restrict gradient, float *restrict values, float *restrict means,
                             float *restrict variances, int64_t count) {
  const float decay = 1 - step->learning_rate * step->weight_decay, size = step->learning_rate / step->correction1;
  const float root = sqrtf(step->correction2), beta2 = step->beta2, epsilon = step->epsilon, factor = step->gradient_factor;
  const float new1 = 1 - step->beta1, new2 = 1 - beta2;
  for (int64_t i = 0; i < count; i++) {
    float g = gradient[i] * factor;
    float mean = means[i] + new1 * (g - means[i]);
    float variance = variances[i] * beta2 + new2 * g * g;
    means[i] = mean;
    variances[i] = variance;
    values[i] = values[i] * decay - size * (mean / (__builtin_elementwise_sqrt(variance) / root + epsilon));
  }
}

/// Numbers whose places are looked for at the same time: a step of one need not wait for that of another.
enum { TOGETHER = 8 };

/// The nearest values' places, by halving: ties go up.
static void nearest(const dso_state_map *map, const float *x, float factor, uint8_t *places) {
  float scaled[TOGETHER];
  int32_t place[TOGETHER] = {0};
  for (int i = 0; i < TOGETHER; i++) scaled[i] = x[i] * factor;
#pragma clang loop unroll(full)
  for (int width = 128; width; width >>= 1)
#pragma clang loop unroll(full)
    for (int i = 0; i < TOGETHER; i++) place[i] += width & -(scaled[i] >= map->midpoints[place[i] + width - 1]);
  for (int i = 0; i < TOGETHER; i++) places[i] = (uint8_t)place[i];
}

static void narrow(const dso_state_map *map, const float *x, int64_t count, uint8_t *bytes, float *scale) {
  float largest = 0;
  for (int64_t i = 0; i < count; i++) largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
  *scale = largest;
  float inverse = largest > 0 ? 1 / largest : 0;
  for (int64_t i = 0; i < count; i += TOGETHER) {
    int64_t n = count - i < TOGETHER ? count - i : TOGETHER;
    float last[TOGETHER] = {0};
    uint8_t places[TOGETHER];
    if (n < TOGETHER) memcpy(last, x + i, (size_t)n * sizeof *x);
    nearest(map, n < TOGETHER ? last : x + i, inverse, places);
    memcpy(bytes + i, places, (size_t)n);
  }
  if (map->values[0] != 0) return;
  for (int64_t i = 0; i < count; i++) {
    // A variance that is lost beside a mean that is not would make the next step as long as 1 / epsilon.
    if (x[i] > 0 && bytes[i] == 0) bytes[i] = 1;
  }
}

void dso_adamw_step_u8(const dso_adamw *step, const dso_state_map *mean_map, const dso_state_map *variance_map, const float *gradient,
                       float *values, uint8_t *means, float *mean_scales, uint8_t *variances, float *variance_scales, int64_t count) {
  float wide_means[DSO_STATE_BLOCK], wide_variances[DSO_STATE_BLOCK];
  for (int64_t begin = 0, block = 0; begin < count; begin += DSO_STATE_BLOCK, block++) {
    int64_t size = count - begin < DSO_STATE_BLOCK ? count - begin : DSO_STATE_BLOCK;
    for (int64_t i = 0; i < size; i++) {
      wide_means[i] = mean_map->values[means[begin + i]] * mean_scales[block];
      wide_variances[i] = variance_map->values[variances[begin + i]] * variance_scales[block];
    }
    dso_adamw_step(step, gradient + begin, values + begin, wide_means, wide_variances, size);
    narrow(mean_map, wide_means, size, means + begin, mean_scales + block);
    narrow(variance_map, wide_variances, size, variances + begin, variance_scales + block);
  }
}

double dso_gradient_square(const float *gradient, int64_t count) {
  double sums[8] = {0};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (int lane = 0; lane < 8; lane++) sums[lane] += (double)gradient[i + lane] * gradient[i + lane];
  for (int lane = 0; i < count; i++, lane++) sums[lane] += (double)gradient[i] * gradient[i];
  return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

void dso_scaled_copy(const float *x, float factor, float *y, int64_t count) {
  for (int64_t i = 0; i < count; i++) y[i] = factor * x[i];
}
