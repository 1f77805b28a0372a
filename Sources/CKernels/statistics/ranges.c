#include "../dispatch/contraction.h"
#include "../include/Statistics.h"

// Memory-bound: a plain loop is vectorised by the compiler as well as needed.
int64_t dso_count_outside(const float *x, int64_t count, float low, float high) {
  int64_t outside = 0;
  for (int64_t i = 0; i < count; i++) outside += (x[i] < low) | (x[i] > high);
  return outside;
}
