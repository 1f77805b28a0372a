/// AdamW, for the variant whose vectors are included before this file: the operations of the portable one, none of them fused.
#ifndef DSO_OPTIMIZER_VECTOR_H
#define DSO_OPTIMIZER_VECTOR_H

#include <math.h>

typedef struct {
  VF decay, size, root, new1, beta2, new2, epsilon, factor;
} adamw_factors;

INLINE void adamw_vector(const adamw_factors *f, VF gradient, VF *value, VF *mean, VF *variance) {
  VF g = vf_mul(gradient, f->factor);
  *mean = vf_add(*mean, vf_mul(f->new1, vf_sub(g, *mean)));
  *variance = vf_add(vf_mul(*variance, f->beta2), vf_mul(vf_mul(f->new2, g), g));
  VF divisor = vf_add(vf_div(vf_sqrt(*variance), f->root), f->epsilon);
  *value = vf_sub(vf_mul(*value, f->decay), vf_mul(f->size, vf_div(*mean, divisor)));
}

void DSO_KERNEL(adamw_step)(const dso_adamw *step, const float *gradient, float *values, float *means, float *variances, int64_t count) {
  adamw_factors f = {vf_set(1 - step->learning_rate * step->weight_decay), vf_set(step->learning_rate / step->correction1),
                     vf_set(sqrtf(step->correction2)), vf_set(1 - step->beta1), vf_set(step->beta2), vf_set(1 - step->beta2),
                     vf_set(step->epsilon), vf_set(step->gradient_factor)};
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    VF value = vf_load(values + i), mean = vf_load(means + i), variance = vf_load(variances + i);
    adamw_vector(&f, vf_load(gradient + i), &value, &mean, &variance);
    vf_store(values + i, value);
    vf_store(means + i, mean);
    vf_store(variances + i, variance);
  }
  if (i == count) return;
  int64_t n = count - i;
  VF value = vf_load_n(values + i, n), mean = vf_load_n(means + i, n), variance = vf_load_n(variances + i, n);
  adamw_vector(&f, vf_load_n(gradient + i, n), &value, &mean, &variance);
  vf_store_n(values + i, value, n);
  vf_store_n(means + i, mean, n);
  vf_store_n(variances + i, variance, n);
}

#endif
