/// Attention over chosen blocks of keys, portable: sums of scores and values in double.
#include <math.h>

#include "../dispatch/kernel_table.h"
#include "../quantization/codes.h"

static double dot(const float *a, const float *b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++) sum += (double)a[i] * b[i];
  return sum;
}

void dso_portable_select_blocks(const float *q, int64_t ldq, const float *pooled, int64_t ld_pooled, int64_t q_tokens, int64_t q_offset,
                                int64_t head_dim, int64_t block, int64_t count, int32_t *chosen, void *scratch) {
  float *products = scratch;
  for (int64_t t = 0; t < q_tokens; t++) {
    int64_t own = (q_offset + t) / block;
    if (count > 1 && count - 1 < own)
      for (int64_t b = 0; b < own; b++) products[b] = (float)dot(q + t * ldq, pooled + b * ld_pooled, head_dim);
    dso_choose_blocks(products, own, count, chosen + t * count);
  }
}

/// What a query looks at: floats, or codes with scales.
typedef struct {
  const float *k, *v;
  int64_t ldk, ldv;
  const dso_quantized_head *k_codes, *v_codes;
} keys_and_values;

static double score(const keys_and_values *kv, const float *q, int64_t key, int64_t head_dim) {
  if (!kv->k_codes) return dot(q, kv->k + key * kv->ldk, head_dim);
  const int8_t *codes = kv->k_codes->codes + key * kv->k_codes->ld;
  double sum = 0;
  for (int64_t i = 0; i < head_dim; i++) sum += (double)q[i] * codes[i];
  return sum * kv->k_codes->scales[key * kv->k_codes->ld_scales];
}

static double value(const keys_and_values *kv, int64_t key, int64_t d) {
  if (!kv->v_codes) return kv->v[key * kv->ldv + d];
  return (double)kv->v_codes->codes[key * kv->v_codes->ld + d] * kv->v_codes->scales[key * kv->v_codes->ld_scales];
}

static void attend(const keys_and_values *kv, const float *q, float *out, int64_t end_key, int64_t head_dim, int64_t v_dim, float scale,
                   int64_t block, int64_t count, const int32_t *chosen) {
  double largest = -INFINITY, total = 0;
  for (int64_t i = 0; i < count && chosen[i] >= 0; i++)
    for (int64_t j = chosen[i] * block; j < dso_min_i64((chosen[i] + 1) * block, end_key); j++)
      largest = fmax(largest, score(kv, q, j, head_dim) * scale);
  for (int64_t i = 0; i < count && chosen[i] >= 0; i++)
    for (int64_t j = chosen[i] * block; j < dso_min_i64((chosen[i] + 1) * block, end_key); j++)
      total += exp(score(kv, q, j, head_dim) * scale - largest);
  for (int64_t d = 0; d < v_dim; d++) out[d] = 0;
  for (int64_t i = 0; i < count && chosen[i] >= 0; i++)
    for (int64_t j = chosen[i] * block; j < dso_min_i64((chosen[i] + 1) * block, end_key); j++) {
      double weight = exp(score(kv, q, j, head_dim) * scale - largest) / total;
      for (int64_t d = 0; d < v_dim; d++) out[d] += (float)(weight * value(kv, j, d));
    }
}

void dso_portable_attention_selected(const float *q, int64_t ldq, const float *k, int64_t ldk, const float *v, int64_t ldv, float *out,
                                     int64_t ldo, int64_t q_tokens, int64_t kv_tokens, int64_t q_offset, int64_t head_dim, int64_t v_dim,
                                     float scale, int64_t block, int64_t count, const int32_t *chosen, void *scratch) {
  (void)scratch;
  keys_and_values kv = {k, v, ldk, ldv, NULL, NULL};
  for (int64_t t = 0; t < q_tokens; t++)
    attend(&kv, q + t * ldq, out + t * ldo, dso_min_i64(kv_tokens, q_offset + t + 1), head_dim, v_dim, scale, block, count,
           chosen + t * count);
}

void dso_portable_attention_selected_s8(const float *q, int64_t ldq, const dso_quantized_head *k, const dso_quantized_head *v, float *out,
                                        int64_t ldo, int64_t q_tokens, int64_t kv_tokens, int64_t q_offset, int64_t head_dim,
                                        int64_t v_dim, float scale, int64_t block, int64_t count, const int32_t *chosen, void *scratch) {
  (void)scratch;
  keys_and_values kv = {NULL, NULL, 0, 0, k, v};
  for (int64_t t = 0; t < q_tokens; t++)
    attend(&kv, q + t * ldq, out + t * ldo, dso_min_i64(kv_tokens, q_offset + t + 1), head_dim, v_dim, scale, block, count,
           chosen + t * count);
}
