/// Rows of logits: their summaries, divergences and gradients.
#include "check.h"

static int64_t count_at(int64_t i) { return i < BOUNDARIES ? boundaries[i] : 5000; }

static void summarize(void) {
  for (int64_t i = 0; i <= BOUNDARIES; i++) {
    for (int way = 0; way < 5; way++) {
      int64_t count = count_at(i);
      float *row = floats(count, -20, 20);
      about("%lld, %d", (long long)count, way);
      if (way == 1) row[count / 2] = NAN;
      if (way == 2) row[count - 1] = INFINITY;
      for (int64_t j = 0; way > 2 && j < count; j++) row[j] = way == 3 ? -INFINITY : (float)(j % 3);
      dso_row_summary s = dso_summarize_logits(row, count);
      close_number("log sum exp", s.log_sum_exp, 2e-12, 2e-12);
      same("place", &s.argmax, 8);
      same("largest", &s.max, 4);
    }
  }
}

static void divergence(void) {
  for (int64_t i = 0; i <= BOUNDARIES; i++) {
    int64_t count = count_at(i);
    float *p = floats(count, -20, 20), *q = floats(count, -0.5f, 0.5f);
    for (int64_t j = 0; j < count; j++) q[j] += p[j];
    about("%lld", (long long)count);
    dso_isa set = dso_isa_current();
    dso_isa_force(DSO_ISA_PORTABLE);
    double a = dso_summarize_logits(p, count).log_sum_exp, b = dso_summarize_logits(q, count).log_sum_exp;
    dso_isa_force(set);
    close_number("divergence", dso_kl_divergence(p, a, q, b, count), 0, 2e-12);
    expect(dso_kl_divergence(p, a, p, a, count) == 0, "of a row from itself");
    p[count / 2] = -INFINITY;
    close_number("divergence with an impossible token", dso_kl_divergence(p, a, q, b, count), 0, 2e-12);
    q[count - 1] = -INFINITY;
    double lost = dso_kl_divergence(p, a, q, b, count);
    close_number("divergence with a lost token", lost, 0, 2e-12);
  }
}

static void squares(int differences) {
  for (int64_t i = 0; i <= BOUNDARIES; i++) {
    int64_t count = count_at(i);
    const float *x = floats(count, -20, 20), *y = floats(count, -20, 20);
    about("%lld", (long long)count);
    close_number("sum", differences ? dso_sum_squared_differences(x, y, count) : dso_sum_squares(x, count), 2e-12, 2e-42);
  }
}

static void sum_squares(void) { squares(0); }
static void sum_differences(void) { squares(1); }

static void cross_entropy(void) {
  for (int64_t i = 0; i <= BOUNDARIES; i++) {
    int64_t count = count_at(i);
    float *logits = floats(count, -6, 6);
    about("%lld", (long long)count);
    close_number("loss", dso_cross_entropy_gradient(logits, count / 2, count, 0.7f), 0, 2e-6);
    close_to("gradient", logits, count, 2e-5, 2e-8);
  }
}

static void divergence_gradient(void) {
  for (int64_t i = 0; i <= BOUNDARIES; i++) {
    for (int way = 0; way < 2; way++) {
      int64_t count = count_at(i);
      float *student = floats(count, -6, 6), *same_row = floats(count, -6, 6);
      const float *teacher = copy_of(same_row, count * 4);
      about("%lld, %d", (long long)count, way);
      close_number("loss", dso_kl_divergence_gradient(teacher, student, count, way ? 2.5f : 1, 0.7f), 0, 4e-6);
      close_to("gradient", student, count, 2e-5, 4e-7);
      expect(fabs(dso_kl_divergence_gradient(teacher, same_row, count, way ? 2.5f : 1, 0.7f)) < 1e-12, "of a row from itself");
      for (int64_t j = 0; j < count; j++) expect(same_row[j] == 0, "a slope where rows are equal");
    }
  }
}

static void partial_divergence(void) {
  for (int64_t i = 1; i <= BOUNDARIES; i++) {
    for (int64_t step = 1; step < 12; step += 5) {
      int64_t count = count_at(i), kept = (count + step - 1) / step;
      if (kept > 300) continue;
      uint32_t *ids = take(kept * 4);
      float *p = floats(kept, 0.1f, 1), *student = floats(count, -6, 6), total = 0;
      for (int64_t j = 0; j < kept; j++) ids[j] = (uint32_t)(j * step), total += p[j];
      // All of it where every token is known, else four fifths.
      for (int64_t j = 0; j < kept; j++) p[j] *= (kept == count ? 1 : 0.8f) / total;
      about("%lld of %lld", (long long)kept, (long long)count);
      close_number("loss", dso_partial_divergence_gradient(ids, p, kept, student, count, step == 6 ? 2.5f : 1, 0.7f), 0, 4e-6);
      close_to("gradient", student, count, 2e-5, 4e-7);
    }
  }
}

const kernel_case loss_cases[] = {{"dso_summarize_logits", summarize},
                                  {"dso_kl_divergence", divergence},
                                  {"dso_sum_squares", sum_squares},
                                  {"dso_sum_squared_differences", sum_differences},
                                  {"dso_cross_entropy_gradient", cross_entropy},
                                  {"dso_kl_divergence_gradient", divergence_gradient},
                                  {"dso_partial_divergence_gradient", partial_divergence},
                                  {NULL, NULL}};
