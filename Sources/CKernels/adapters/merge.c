#include <math.h>
#include <string.h>

#include "../dispatch/contraction.h"
#include "../include/Adapters.h"

void dso_adapter_row(const float *up, int64_t rank, const float *restrict down, int64_t ldd, int64_t columns, float scaling,
                     double *restrict delta) {
  for (int64_t j = 0; j < columns; j++) delta[j] = 0;
  for (int64_t r = 0; r < rank; r++) {
    const float *row = down + r * ldd;
    double factor = up[r];
    for (int64_t j = 0; j < columns; j++) delta[j] += factor * row[j];
  }
  for (int64_t j = 0; j < columns; j++) delta[j] *= scaling;
}

double dso_adapted_length(const float *base, const double *delta, int64_t columns) {
  double sums[8] = {0};
  for (int64_t j = 0; j < columns; j++) {
    double value = base[j] + delta[j];
    sums[j & 7] += value * value;
  }
  return sqrt(((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7])));
}

void dso_merge_row(const float *restrict base, const double *restrict delta, double factor, int64_t columns, float *restrict merged) {
  for (int64_t j = 0; j < columns; j++) merged[j] = (float)((base[j] + delta[j]) * factor);
}

void dso_unmerge_row(const float *restrict merged, const double *restrict delta, double factor, int64_t columns, float *restrict base) {
  for (int64_t j = 0; j < columns; j++) base[j] = (float)(merged[j] / factor - delta[j]);
}

int64_t dso_differing_columns(const void *a, const void *b, int64_t count, int64_t element_bytes, int32_t *columns) {
  const char *first = a, *second = b;
  int64_t found = 0;
  for (int64_t j = 0; j < count; j++, first += element_bytes, second += element_bytes)
    if (memcmp(first, second, (size_t)element_bytes) != 0) columns[found++] = (int32_t)j;
  return found;
}
