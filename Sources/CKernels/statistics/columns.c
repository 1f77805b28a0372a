#include <math.h>

#include "../dispatch/contraction.h"
#include "../include/Statistics.h"

// Memory-bound: plain loops over a row are vectorised by the compiler as well as needed.
void dso_column_statistics(const float *x, int64_t ldx, int64_t rows, int64_t columns, float *absmax, double *abs_sum, double *square_sum) {
  for (int64_t r = 0; r < rows; r++) {
    const float *row = x + r * ldx;
    if (absmax)
      for (int64_t i = 0; i < columns; i++) {
        float a = fabsf(row[i]);
        absmax[i] = a > absmax[i] ? a : absmax[i];
      }
    if (abs_sum)
      for (int64_t i = 0; i < columns; i++) abs_sum[i] += fabsf(row[i]);
    if (square_sum)
      for (int64_t i = 0; i < columns; i++) square_sum[i] += (double)row[i] * row[i];
  }
}
