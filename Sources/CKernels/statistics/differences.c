#include <math.h>

#include "../dispatch/contraction.h"
#include "../include/Statistics.h"

// Memory-bound, and called once a weight: portable loops with sums that a compiler can keep in a vector.
double dso_inner_product(const float *x, const float *y, int64_t count) {
  double sums[8] = {0};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (int lane = 0; lane < 8; lane++) sums[lane] += (double)x[i + lane] * y[i + lane];
  double sum = ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
  for (; i < count; i++) sum += (double)x[i] * y[i];
  return sum;
}

void dso_subtract(float *x, const float *y, int64_t count) {
  for (int64_t i = 0; i < count; i++) x[i] -= y[i];
}

double dso_sum_magnitudes(const float *x, int64_t count) {
  double sums[8] = {0};
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    for (int lane = 0; lane < 8; lane++) sums[lane] += fabsf(x[i + lane]);
  double sum = ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
  for (; i < count; i++) sum += fabsf(x[i]);
  return sum;
}
