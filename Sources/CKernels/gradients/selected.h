/// The gradient of attention over chosen blocks, for the variant whose vectors are included before this file: query by query. The choice itself
/// has no gradient.
#ifndef DSO_GRADIENT_SELECTED_H
#define DSO_GRADIENT_SELECTED_H

#include "../include/SelectedAttention.h"

/// y += factor * x
INLINE void add_row(float factor, const float *x, float *y, int64_t count) {
  VF factors = vf_set(factor);
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) vf_store(y + i, vf_fma(factors, vf_load(x + i), vf_load(y + i)));
  if (i < count) vf_store_n(y + i, vf_fma(factors, vf_load_n(x + i, count - i), vf_load_n(y + i, count - i)), count - i);
}

static void add_selected_query(const dso_attention_gradient *g, int64_t block, int64_t count, const int32_t *chosen, int64_t head,
                               int64_t t, float *weights) {
  const float *q = g->queries + t * g->ld_queries + head * g->head_dim;
  const float *slope = g->output_gradient + t * g->ld_output_gradient + head * g->v_dim;
  float *dq = g->query_gradient + t * g->ld_query_gradient + head * g->head_dim;
  int64_t end_key = dso_min_i64(g->kv_tokens, g->q_offset + t + 1), n = 0;
  float product = dot_rows(g->output + t * g->ld_output + head * g->v_dim, slope, g->v_dim), largest = -INFINITY;
  for (int64_t i = 0; i < count && chosen[i] >= 0; i++)
    for (int64_t j = chosen[i] * block; j < dso_min_i64((chosen[i] + 1) * block, end_key); j++) {
      weights[n] = dot_rows(q, g->keys + j * g->ld_keys, g->head_dim) * g->scale;
      largest = weights[n] > largest ? weights[n] : largest;
      n++;
    }
  VF shift = vf_set(largest), sum = vf_zero();
  for (int64_t i = n; i % LANES; i++) weights[i] = -INFINITY;
  for (int64_t i = 0; i < n; i += LANES) {
    VF weight = vf_exp(vf_sub(vf_load(weights + i), shift));
    vf_store(weights + i, weight);
    sum = vf_add(sum, weight);
  }
  float inverse = 1 / vf_sum(sum);
  n = 0;
  for (int64_t i = 0; i < count && chosen[i] >= 0; i++)
    for (int64_t j = chosen[i] * block; j < dso_min_i64((chosen[i] + 1) * block, end_key); j++) {
      float weight = weights[n++] * inverse;
      float score = weight * (dot_rows(g->values + j * g->ld_values, slope, g->v_dim) - product) * g->scale;
      add_row(weight, slope, g->value_gradient + j * g->ld_value_gradient, g->v_dim);
      add_row(score, q, g->key_gradient + j * g->ld_key_gradient, g->head_dim);
      add_row(score, g->keys + j * g->ld_keys, dq, g->head_dim);
    }
}

void DSO_KERNEL(attention_selected_backward)(const dso_attention_gradient *g, int64_t block, int64_t count, const int32_t *chosen,
                                             void *scratch) {
  clear_rows(g->query_gradient, g->ld_query_gradient, g->q_tokens, g->query_heads * g->head_dim);
  clear_rows(g->key_gradient, g->ld_key_gradient, g->kv_tokens, g->head_dim);
  clear_rows(g->value_gradient, g->ld_value_gradient, g->kv_tokens, g->v_dim);
  for (int64_t head = 0; head < g->query_heads; head++)
    for (int64_t t = 0; t < g->q_tokens; t++)
      add_selected_query(g, block, count, chosen + (head * g->q_tokens + t) * count, head, t, scratch);
}

#endif
