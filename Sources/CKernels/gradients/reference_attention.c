/// The gradient of attention, portable: one query at a time, sums of scores in double.
#include <math.h>
#include <string.h>

#include "../dispatch/kernel_table.h"
#include "../quantization/codes.h"

static double dot(const float *a, const float *b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++) sum += (double)a[i] * b[i];
  return sum;
}

static void add_scaled(double factor, const float *x, float *y, int64_t count) {
  for (int64_t i = 0; i < count; i++) y[i] += (float)factor * x[i];
}

static void clear_rows(float *x, int64_t ld, int64_t rows, int64_t width) {
  for (int64_t row = 0; row < rows; row++) memset(x + row * ld, 0, (size_t)width * sizeof *x);
}

static void add_query(const dso_attention_gradient *g, int64_t head, int64_t t) {
  const float *q = g->queries + t * g->ld_queries + head * g->head_dim;
  const float *slope = g->output_gradient + t * g->ld_output_gradient + head * g->v_dim;
  const float *out = g->output + t * g->ld_output + head * g->v_dim;
  float *dq = g->query_gradient + t * g->ld_query_gradient + head * g->head_dim;
  int64_t position = g->q_offset + t, end = dso_min_i64(g->kv_tokens, position + 1);
  int64_t begin = g->window > 0 && position - g->window + 1 > 0 ? position - g->window + 1 : 0;
  double largest = -INFINITY, total = 0, product = dot(out, slope, g->v_dim);
  for (int64_t j = begin; j < end; j++) largest = fmax(largest, dot(q, g->keys + j * g->ld_keys, g->head_dim) * g->scale);
  for (int64_t j = begin; j < end; j++) total += exp(dot(q, g->keys + j * g->ld_keys, g->head_dim) * g->scale - largest);
  for (int64_t j = begin; j < end; j++) {
    const float *key = g->keys + j * g->ld_keys, *value = g->values + j * g->ld_values;
    double weight = exp(dot(q, key, g->head_dim) * g->scale - largest) / total;
    double score = weight * (dot(value, slope, g->v_dim) - product) * g->scale;
    add_scaled(weight, slope, g->value_gradient + j * g->ld_value_gradient, g->v_dim);
    add_scaled(score, q, g->key_gradient + j * g->ld_key_gradient, g->head_dim);
    add_scaled(score, key, dq, g->head_dim);
  }
}

void dso_portable_attention_backward(const dso_attention_gradient *g, void *scratch) {
  (void)scratch;
  clear_rows(g->query_gradient, g->ld_query_gradient, g->q_tokens, g->query_heads * g->head_dim);
  clear_rows(g->key_gradient, g->ld_key_gradient, g->kv_tokens, g->head_dim);
  clear_rows(g->value_gradient, g->ld_value_gradient, g->kv_tokens, g->v_dim);
  for (int64_t head = 0; head < g->query_heads; head++)
    for (int64_t t = 0; t < g->q_tokens; t++) add_query(g, head, t);
}

static void add_selected_query(const dso_attention_gradient *g, int64_t block, int64_t count, const int32_t *chosen, int64_t head,
                               int64_t t) {
  const float *q = g->queries + t * g->ld_queries + head * g->head_dim;
  const float *slope = g->output_gradient + t * g->ld_output_gradient + head * g->v_dim;
  float *dq = g->query_gradient + t * g->ld_query_gradient + head * g->head_dim;
  int64_t end_key = dso_min_i64(g->kv_tokens, g->q_offset + t + 1);
  double largest = -INFINITY, total = 0, product = dot(g->output + t * g->ld_output + head * g->v_dim, slope, g->v_dim);
  for (int pass = 0; pass < 3; pass++)
    for (int64_t i = 0; i < count && chosen[i] >= 0; i++)
      for (int64_t j = chosen[i] * block; j < dso_min_i64((chosen[i] + 1) * block, end_key); j++) {
        const float *key = g->keys + j * g->ld_keys;
        double score = dot(q, key, g->head_dim) * g->scale;
        if (pass == 0) largest = fmax(largest, score);
        if (pass == 1) total += exp(score - largest);
        if (pass < 2) continue;
        double weight = exp(score - largest) / total;
        double slant = weight * (dot(g->values + j * g->ld_values, slope, g->v_dim) - product) * g->scale;
        add_scaled(weight, slope, g->value_gradient + j * g->ld_value_gradient, g->v_dim);
        add_scaled(slant, q, g->key_gradient + j * g->ld_key_gradient, g->head_dim);
        add_scaled(slant, key, dq, g->head_dim);
      }
}

void dso_portable_attention_selected_backward(const dso_attention_gradient *g, int64_t block, int64_t count, const int32_t *chosen,
                                              void *scratch) {
  (void)scratch;
  clear_rows(g->query_gradient, g->ld_query_gradient, g->q_tokens, g->query_heads * g->head_dim);
  clear_rows(g->key_gradient, g->ld_key_gradient, g->kv_tokens, g->head_dim);
  clear_rows(g->value_gradient, g->ld_value_gradient, g->kv_tokens, g->v_dim);
  for (int64_t head = 0; head < g->query_heads; head++)
    for (int64_t t = 0; t < g->q_tokens; t++)
      add_selected_query(g, block, count, chosen + (head * g->q_tokens + t) * count, head, t);
}
