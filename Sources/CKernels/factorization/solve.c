#include "../dispatch/contraction.h"
#include "../include/Factorization.h"

void dso_solve_unit_rows(float *x, int64_t ldx, int64_t rows, const float *m, int64_t ldm, int64_t count, int from_last) {
  for (int64_t r = 0; r < rows; r++, x += ldx) {
    if (from_last) {
      // x M = y: the last column depends on itself only.
      for (int64_t c = count - 1; c >= 0; c--) {
        double sum = x[c];
        for (int64_t i = c + 1; i < count; i++) sum -= (double)x[i] * m[i * ldm + c];
        x[c] = (float)sum;
      }
      continue;
    }
    // x M^T = y: the first one does.
    for (int64_t c = 0; c < count; c++) {
      double sum = x[c];
      for (int64_t i = 0; i < c; i++) sum -= (double)x[i] * m[c * ldm + i];
      x[c] = (float)sum;
    }
  }
}
