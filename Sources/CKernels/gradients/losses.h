/// Losses of rows of logits with their gradients, for the variant whose vectors are included before this file. Sums in double.
#ifndef DSO_GRADIENT_LOSSES_H
#define DSO_GRADIENT_LOSSES_H

/// log sum exp of a row times `factor`.
INLINE double scaled_log_sum(const float *row, int64_t count, float factor) {
  VF factors = vf_set(factor), none = vf_set(-INFINITY), largest = none;
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) largest = vf_max(vf_mul(vf_load(row + i), factors), largest);
  float most = vf_largest(largest);
  for (int64_t j = i; j < count; j++) most = row[j] * factor > most ? row[j] * factor : most;
  VF shift = vf_set(most);
  VD low = vd_zero(), high = vd_zero();
  for (i = 0; i + LANES <= count; i += LANES) {
    VF weight = vf_exp(vf_sub(vf_mul(vf_load(row + i), factors), shift));
    low = vd_add(low, vd_low(weight));
    high = vd_add(high, vd_high(weight));
  }
  double sum = vd_sum(vd_add(low, high));
  for (; i < count; i++) sum += exp((double)(row[i] * factor) - (double)most);
  return (double)most + log(sum);
}

/// Probabilities of scaled logits, from their log sum in two parts: rounding it alone would move every one of them.
INLINE VF probabilities(VF scaled, VF lse, VF rest) { return vf_exp(vf_sub(vf_sub(scaled, lse), rest)); }

double DSO_KERNEL(cross_entropy_gradient)(float *logits, int64_t target, int64_t count, float weight) {
  double lse = scaled_log_sum(logits, count, 1), loss = lse - (double)logits[target];
  VF high = vf_set((float)lse), low = vf_set((float)(lse - (double)(float)lse)), weights = vf_set(weight);
  for (int64_t i = 0; i < count; i += LANES)
    store_some(logits + i, vf_mul(weights, probabilities(load_some(logits + i, count - i), high, low)), count - i);
  // In this order the target's own 1 - p keeps its digits.
  logits[target] = weight * (float)expm1(-loss);
  return loss;
}

double DSO_KERNEL(kl_divergence_gradient)(const float *teacher, float *student, int64_t count, float temperature, float weight) {
  float factor = 1 / temperature;
  double teacher_lse = scaled_log_sum(teacher, count, factor), student_lse = scaled_log_sum(student, count, factor);
  VF factors = vf_set(factor), weights = vf_set(weight * factor);
  VF t_high = vf_set((float)teacher_lse), t_low = vf_set((float)(teacher_lse - (double)(float)teacher_lse));
  VF s_high = vf_set((float)student_lse), s_low = vf_set((float)(student_lse - (double)(float)student_lse));
  VD low = vd_zero(), high = vd_zero(), shift = vd_set(student_lse - teacher_lse);
  for (int64_t i = 0; i < count; i += LANES) {
    int64_t n = count - i;
    VF t = vf_mul(load_some(teacher + i, n), factors), s = vf_mul(load_some(student + i, n), factors);
    VF p = probabilities(t, t_high, t_low), q = probabilities(s, s_high, s_low);
    if (n < LANES) {
      // What lies behind the row would count as logits of 0.
      float inside[LANES] = {0};
      for (int64_t j = 0; j < n; j++) inside[j] = 1;
      p = vf_mul(p, vf_load(inside));
    }
    VD p_low = vd_low(p), p_high = vd_high(p);
    low = vd_add(low, vd_zero_where_zero(vd_mul(p_low, vd_add(vd_sub(vd_low(t), vd_low(s)), shift)), p_low));
    high = vd_add(high, vd_zero_where_zero(vd_mul(p_high, vd_add(vd_sub(vd_high(t), vd_high(s)), shift)), p_high));
    store_some(student + i, vf_mul(weights, vf_sub(q, p)), n);
  }
  return vd_sum(vd_add(low, high));
}

/// Probabilities of `n` scaled logits in their place; returns their sum.
INLINE double probabilities_in_place(float *row, int64_t n, VF factors, VF lse, VF rest) {
  VD low = vd_zero(), high = vd_zero();
  for (int64_t i = 0; i < n; i += LANES) {
    VF q = probabilities(vf_mul(load_some(row + i, n - i), factors), lse, rest);
    if (n - i < LANES) {
      // What lies behind the stretch belongs to others.
      float inside[LANES] = {0};
      for (int64_t j = 0; j < n - i; j++) inside[j] = 1;
      q = vf_mul(q, vf_load(inside));
    }
    low = vd_add(low, vd_low(q));
    high = vd_add(high, vd_high(q));
    store_some(row + i, q, n - i);
  }
  return vd_sum(vd_add(low, high));
}

INLINE void scale_in_place(float *row, int64_t n, float factor) {
  VF factors = vf_set(factor);
  for (int64_t i = 0; i < n; i += LANES) store_some(row + i, vf_mul(load_some(row + i, n - i), factors), n - i);
}

double DSO_KERNEL(partial_divergence_gradient)(const uint32_t *ids, const float *p, int64_t kept, float *student, int64_t count,
                                               float temperature, float weight) {
  float factor = 1 / temperature;
  double lse = scaled_log_sum(student, count, factor), loss = 0, mass = 0, others = 0;
  VF factors = vf_set(factor), high = vf_set((float)lse), low = vf_set((float)(lse - (double)(float)lse));
  int64_t next = 0;
  for (int64_t i = 0; i <= kept; i++) {
    int64_t id = i < kept ? (int64_t)ids[i] : count;
    if (id > next) others += probabilities_in_place(student + next, id - next, factors, high, low);
    next = id + 1;
    if (i == kept) break;
    double logq = (double)(student[id] * factor) - lse;
    if (p[i] > 0) loss += (double)p[i] * (log((double)p[i]) - logq);
    mass += (double)p[i];
    student[id] = weight * factor * ((float)exp(logq) - p[i]);
  }
  double rest = mass < 1 ? 1 - mass : 0, share = 0;
  if (others > 0) {
    share = rest / others;
    if (rest > 0) loss += rest * log(share);
  }
  float scale = (float)((double)(weight * factor) * (1 - share));
  next = 0;
  for (int64_t i = 0; i <= kept; i++) {
    int64_t id = i < kept ? (int64_t)ids[i] : count;
    if (id > next) scale_in_place(student + next, id - next, scale);
    next = id + 1;
  }
  return loss;
}

#endif
