/// Rows of logits and sums over elements, portable. Everything is added in double.
#include <math.h>

#include "../dispatch/kernel_table.h"

dso_row_summary dso_portable_summarize_logits(const float *row, int64_t count) {
  dso_row_summary summary = {-INFINITY, 0, -INFINITY};
  for (int64_t i = 0; i < count; i++) {
    if (row[i] > summary.max) {
      summary.max = row[i];
      summary.argmax = i;
    }
  }
  if (isinf(summary.max)) {
    // No finite shift exists: the sum is that of the infinities (or of a not-a-number among them).
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += exp((double)row[i]);
    summary.log_sum_exp = log(sum);
    return summary;
  }
  double sum = 0;
  for (int64_t i = 0; i < count; i++) sum += exp((double)row[i] - summary.max);
  summary.log_sum_exp = summary.max + log(sum);
  return summary;
}

double dso_portable_kl_divergence(const float *reference, double reference_lse, const float *other, double other_lse, int64_t count) {
  double shift = reference_lse - other_lse, sum = 0;
  for (int64_t i = 0; i < count; i++) {
    double p = exp((double)reference[i] - reference_lse);
    // An impossible token adds nothing, even when the other distribution also excludes it.
    if (p > 0) sum += p * (((double)reference[i] - (double)other[i]) - shift);
    else if (p != p) sum += p;
  }
  return sum;
}

double dso_portable_sum_squares(const float *x, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++) sum += (double)x[i] * x[i];
  return sum;
}

double dso_portable_sum_squared_differences(const float *x, const float *y, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++) {
    double difference = (double)x[i] - (double)y[i];
    sum += difference * difference;
  }
  return sum;
}
