/// Sums of groups of activations, plain: sixteen sums beside each other, which compilers turn into vectors, then one tree.
#include "../dispatch/contraction.h"
#include "../include/CKernels.h"

enum { LANES = 16 };

static float sum(const float *x, int64_t count) {
  float lanes[LANES] = {0};
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES)
    for (int l = 0; l < LANES; l++) lanes[l] += x[i + l];
  for (int l = 0; i < count; i++, l++) lanes[l] += x[i];
  for (int width = LANES / 2; width > 0; width /= 2)
    for (int l = 0; l < width; l++) lanes[l] += lanes[l + width];
  return lanes[0];
}

void dso_group_sums(const float *x, int64_t ldx, int64_t rows, int64_t k, int64_t group_size, float *sums, int64_t lds) {
  for (int64_t r = 0; r < rows; r++) {
    int64_t g = 0;
    for (int64_t begin = 0; begin < k; begin += group_size, g++)
      sums[r * lds + g] = sum(x + r * ldx + begin, k - begin < group_size ? k - begin : group_size);
  }
}
