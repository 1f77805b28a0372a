#include <math.h>

#include "../include/Statistics.h"

int64_t dso_sample_logits(const float *row, double log_sum_exp, int64_t count, double unit) {
  double sum = 0;
  int64_t last = 0;
  for (int64_t i = 0; i < count; i++) {
    // A probability this small adds nothing that a float of the others could show; it saves most exponentials.
    float distance = row[i] - (float)log_sum_exp;
    if (distance < -30.0f) continue;
    sum += expf(distance);
    last = i;
    if (sum > unit) return i;
  }
  return last;
}
