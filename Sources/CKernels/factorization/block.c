/// The block on the diagonal: portable, in double. It is a small part of the work, and what it gets wrong everything after it has wrong.
#include <math.h>

#include "../dispatch/contraction.h"
#include "../include/CKernels.h"

int64_t dso_factor_block(float *a, int64_t lda, int64_t n, float *transposed, float *pivots, double *scratch) {
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j <= i; j++) scratch[i * n + j] = a[i * lda + j];
  for (int64_t i = n - 1; i >= 0; i--) {
    double *row = scratch + i * n, pivot = row[i];
    if (!(pivot > 0 && (float)pivot > 0 && (float)pivot < INFINITY)) return i;
    // Row i of the rest is D * M: what the rows above lose is M^T * D * M.
    for (int64_t r = i - 1; r >= 0; r--) {
      double factor = row[r] / pivot, *to = scratch + r * n;
      for (int64_t j = 0; j <= r; j++) to[j] -= factor * row[j];
    }
    for (int64_t j = 0; j < i; j++) row[j] /= pivot;
  }
  for (int64_t i = 0; i < n; i++) {
    pivots[i] = a[i * lda + i] = (float)scratch[i * n + i];
    for (int64_t j = 0; j < i; j++) transposed[j * n + i] = a[i * lda + j] = (float)scratch[i * n + j];
  }
  return -1;
}
