/// Rows of logits and sums over elements, for the variant whose vectors are included before this file. Everything is added in double.
#ifndef DSO_DISTRIBUTIONS_VECTOR_H
#define DSO_DISTRIBUTIONS_VECTOR_H

#include <math.h>

#include "../vectors/exponential.h"

/// The largest element; not-a-numbers are passed over.
INLINE float largest_of(const float *row, int64_t count) {
  VF largest = vf_set(-INFINITY);
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) largest = vf_max(vf_load(row + i), largest);
  float result = vf_largest(largest);
  for (; i < count; i++) result = row[i] > result ? row[i] : result;
  return result;
}

INLINE int64_t first_equal(const float *row, int64_t count, float wanted) {
  VF all = vf_set(wanted);
  int64_t i = 0;
  while (i + LANES <= count && vf_outside(vf_load(row + i), all, all, LANES) == LANES) i += LANES;
  while (i < count && row[i] != wanted) i++;
  return i;
}

dso_row_summary DSO_KERNEL(summarize_logits)(const float *row, int64_t count) {
  float largest = largest_of(row, count);
  if (isinf(largest)) return dso_portable_summarize_logits(row, count);
  VD low = vd_zero(), high = vd_zero(), shift = vd_set(largest);
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    VF v = vf_load(row + i);
    low = vd_add(low, vd_exp(vd_sub(vd_low(v), shift)));
    high = vd_add(high, vd_exp(vd_sub(vd_high(v), shift)));
  }
  double sum = vd_sum(vd_add(low, high));
  for (; i < count; i++) sum += exp((double)row[i] - largest);
  return (dso_row_summary){largest + log(sum), first_equal(row, count, largest), largest};
}

/// A token that the reference excludes adds nothing, even when the other row also excludes it.
INLINE VD divergence(VD reference, VD other, VD reference_lse, VD shift) {
  VD p = vd_exp(vd_sub(reference, reference_lse));
  return vd_zero_where_zero(vd_mul(p, vd_sub(vd_sub(reference, other), shift)), p);
}

double DSO_KERNEL(kl_divergence)(const float *reference, double reference_lse, const float *other, double other_lse, int64_t count) {
  VD low = vd_zero(), high = vd_zero(), lse = vd_set(reference_lse), shift = vd_set(reference_lse - other_lse);
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    VF r = vf_load(reference + i), o = vf_load(other + i);
    low = vd_add(low, divergence(vd_low(r), vd_low(o), lse, shift));
    high = vd_add(high, divergence(vd_high(r), vd_high(o), lse, shift));
  }
  return vd_sum(vd_add(low, high)) + dso_portable_kl_divergence(reference + i, reference_lse, other + i, other_lse, count - i);
}

double DSO_KERNEL(sum_squares)(const float *x, int64_t count) {
  VD low = vd_zero(), high = vd_zero();
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    VF v = vf_load(x + i);
    low = vd_fma(vd_low(v), vd_low(v), low);
    high = vd_fma(vd_high(v), vd_high(v), high);
  }
  return vd_sum(vd_add(low, high)) + dso_portable_sum_squares(x + i, count - i);
}

double DSO_KERNEL(sum_squared_differences)(const float *x, const float *y, int64_t count) {
  VD low = vd_zero(), high = vd_zero();
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    VF a = vf_load(x + i), b = vf_load(y + i);
    VD first = vd_sub(vd_low(a), vd_low(b)), second = vd_sub(vd_high(a), vd_high(b));
    low = vd_fma(first, first, low);
    high = vd_fma(second, second, high);
  }
  return vd_sum(vd_add(low, high)) + dso_portable_sum_squared_differences(x + i, y + i, count - i);
}

#endif
