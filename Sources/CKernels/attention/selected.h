/// Attention over chosen blocks of keys, one query at a time, for the variant whose vectors are included before this file.
#ifndef DSO_ATTENTION_SELECTED_H
#define DSO_ATTENTION_SELECTED_H

#include "../include/SelectedAttention.h"

void DSO_KERNEL(select_blocks)(const float *q, int64_t ldq, const float *pooled, int64_t ld_pooled, int64_t q_tokens, int64_t q_offset,
                               int64_t head_dim, int64_t block, int64_t count, int32_t *chosen, void *scratch) {
  float *products = scratch;
  for (int64_t t = 0; t < q_tokens; t++) {
    int64_t own = (q_offset + t) / block;
    if (count > 1 && count - 1 < own)
      for (int64_t b = 0; b < own; b++) products[b] = dot(q + t * ldq, pooled + b * ld_pooled, head_dim);
    dso_choose_blocks(products, own, count, chosen + t * count);
  }
}

/// Scaled scores of keys first..<first+count.
INLINE void score_run(const head *h, const float *q, int64_t first, int64_t count, float *to) {
  const dso_quantized_head *k = h->k_codes;
  for (int64_t j = 0; j < count; j++)
    to[j] = k ? dot_codes(q, k->codes + (first + j) * k->ld, h->head_dim) * (k->scales[(first + j) * k->ld_scales] * h->scale)
              : dot(q, h->k + (first + j) * h->ldk, h->head_dim) * h->scale;
}

/// Adds the weighted values of keys first..<first+count.
INLINE void value_run(const head *h, float *weights, int64_t first, int64_t count, float *sums) {
  const dso_quantized_head *v = h->v_codes;
  int64_t d = 0;
  if (v) {
    for (int64_t j = 0; j < count; j++) weights[j] *= v->scales[(first + j) * v->ld_scales];
    const int8_t *codes = v->codes + first * v->ld;
    for (; d + 4 * LANES <= h->v_dim; d += 4 * LANES) add_codes(4, weights, count, codes + d, v->ld, sums + d);
    for (; d + LANES <= h->v_dim; d += LANES) add_codes(1, weights, count, codes + d, v->ld, sums + d);
    for (; d < h->v_dim; d++)
      for (int64_t j = 0; j < count; j++) sums[d] += weights[j] * (float)codes[j * v->ld + d];
    return;
  }
  const float *values = h->v + first * h->ldv;
  for (; d + 4 * LANES <= h->v_dim; d += 4 * LANES) add_values(4, weights, count, values + d, h->ldv, sums + d);
  for (; d + LANES <= h->v_dim; d += LANES) add_values(1, weights, count, values + d, h->ldv, sums + d);
  for (; d < h->v_dim; d++)
    for (int64_t j = 0; j < count; j++) sums[d] += weights[j] * values[j * h->ldv + d];
}

/// Keys of chosen blocks are gathered until there are as many as a softmax takes at a time.
static void attend_selected(const head *h, const areas *s, int64_t query, int64_t block, int64_t count, const int32_t *chosen) {
  int64_t end_key = dso_min_i64(h->kv_tokens, h->q_offset + query + 1), i = 0, offset = 0;
  const float *q = h->q + query * h->ldq;
  memset(s->sums, 0, (size_t)h->width * sizeof *s->sums);
  s->largest[0] = -INFINITY;
  s->totals[0] = 0;
  for (;;) {
    int64_t firsts[KEYS], counts[KEYS], filled = 0;
    int runs = 0;
    while (filled < KEYS && i < count && chosen[i] >= 0) {
      int64_t first = chosen[i] * block + offset, end = dso_min_i64(chosen[i] * block + block, end_key);
      int64_t n = dso_min_i64(end - first, KEYS - filled);
      if (n > 0) {
        score_run(h, q, first, n, s->scores + filled);
        firsts[runs] = first, counts[runs++] = n;
        filled += n, offset += n;
      }
      if (first + n >= end) i++, offset = 0;
    }
    if (filled == 0) break;
    soften_row(s->scores, 0, filled, s->largest, s->totals, s->sums, h->width);
    float *weights = s->scores;
    for (int r = 0; r < runs; weights += counts[r++]) value_run(h, weights, firsts[r], counts[r], s->sums);
  }
  store_row(h, s->sums, s->totals[0], h->out + query * h->ldo);
}

void DSO_KERNEL(attention_selected)(const float *q, int64_t ldq, const float *k, int64_t ldk, const float *v, int64_t ldv, float *out,
                                    int64_t ldo, int64_t q_tokens, int64_t kv_tokens, int64_t q_offset, int64_t head_dim, int64_t v_dim,
                                    float scale, int64_t block, int64_t count, const int32_t *chosen, void *scratch) {
  head h = {q, k, v, out, ldq, ldk, ldv, ldo, q_tokens, kv_tokens, q_offset, head_dim, v_dim, 0, scale,
            (v_dim + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS, NULL, NULL, NULL};
  areas s = cut_areas(scratch, head_dim, v_dim);
  for (int64_t t = 0; t < q_tokens; t++) attend_selected(&h, &s, t, block, count, chosen + t * count);
}

void DSO_KERNEL(attention_selected_s8)(const float *q, int64_t ldq, const dso_quantized_head *k, const dso_quantized_head *v, float *out,
                                       int64_t ldo, int64_t q_tokens, int64_t kv_tokens, int64_t q_offset, int64_t head_dim,
                                       int64_t v_dim, float scale, int64_t block, int64_t count, const int32_t *chosen, void *scratch) {
  head h = {.q = q, .out = out, .ldq = ldq, .ldo = ldo, .q_tokens = q_tokens, .kv_tokens = kv_tokens, .q_offset = q_offset,
            .head_dim = head_dim, .v_dim = v_dim, .scale = scale,
            .width = (v_dim + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS, .k_codes = k, .v_codes = v};
  areas s = cut_areas(scratch, head_dim, v_dim);
  for (int64_t t = 0; t < q_tokens; t++) attend_selected(&h, &s, t, block, count, chosen + t * count);
}

#endif
