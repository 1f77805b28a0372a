/// Losses of rows of logits with their gradients, portable, in double.
#include <math.h>

#include "../dispatch/kernel_table.h"

static double log_sum(const float *row, int64_t count, double factor) {
  double largest = -INFINITY, sum = 0;
  for (int64_t i = 0; i < count; i++) largest = fmax(largest, row[i] * factor);
  for (int64_t i = 0; i < count; i++) sum += exp(row[i] * factor - largest);
  return largest + log(sum);
}

double dso_portable_cross_entropy_gradient(float *logits, int64_t target, int64_t count, float weight) {
  double lse = log_sum(logits, count, 1), loss = lse - logits[target];
  for (int64_t i = 0; i < count; i++) logits[i] = (float)(weight * exp(logits[i] - lse));
  logits[target] = (float)(weight * expm1(-loss));
  return loss;
}

double dso_portable_kl_divergence_gradient(const float *teacher, float *student, int64_t count, float temperature, float weight) {
  double factor = 1.0 / temperature, loss = 0;
  double teacher_lse = log_sum(teacher, count, factor), student_lse = log_sum(student, count, factor);
  for (int64_t i = 0; i < count; i++) {
    double t = teacher[i] * factor - teacher_lse, s = student[i] * factor - student_lse, p = exp(t);
    if (p > 0) loss += p * (t - s);
    student[i] = (float)(weight * factor * (exp(s) - p));
  }
  return loss;
}

double dso_portable_partial_divergence_gradient(const uint32_t *ids, const float *p, int64_t kept, float *student, int64_t count,
                                                float temperature, float weight) {
  double factor = 1.0 / temperature, lse = log_sum(student, count, factor), loss = 0, mass = 0, others = 0;
  for (int64_t i = 0, j = 0; i < count; i++) {
    double logq = student[i] * factor - lse;
    if (j < kept && ids[j] == (uint32_t)i) {
      if (p[j] > 0) loss += p[j] * (log(p[j]) - logq);
      mass += p[j++];
    } else {
      others += exp(logq);
    }
  }
  double rest = mass < 1 ? 1 - mass : 0, share = others > 0 ? rest / others : 0;
  if (rest > 0 && others > 0) loss += rest * log(share);
  for (int64_t i = 0, j = 0; i < count; i++) {
    double q = exp(student[i] * factor - lse);
    double slope = j < kept && ids[j] == (uint32_t)i ? q - p[j++] : q * (1 - share);
    student[i] = (float)(weight * factor * slope);
  }
  return loss;
}
