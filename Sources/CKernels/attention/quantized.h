/// The int8 cache, for the variant whose vectors are included before this file: its codes, and attention over them. Many queries run
/// through the tiles of vector.h, a block of keys and values dequantized at a time; few read the codes where they lie.
#ifndef DSO_ATTENTION_QUANTIZED_H
#define DSO_ATTENTION_QUANTIZED_H

/// One head of one token; the same bytes as the portable variant.
INLINE float quantize_head(const float *x, int64_t dim, int8_t *q) {
  VF largest = vf_zero(), check = vf_zero();
  for (int64_t i = 0; i < dim; i += LANES) {
    VF v = dim - i >= LANES ? vf_load(x + i) : vf_load_n(x + i, dim - i);
    largest = vf_max(vf_abs(v), largest);
    // 0 as long as everything is finite, NaN from then on.
    check = vf_fma(v, vf_zero(), check);
  }
  if (vf_sum(check) != 0) {
    memset(q, 0, (size_t)dim);
    return NAN;
  }
  float most = vf_largest(largest), scale = most / 127.0f;
  // The quotient of a denormal maximum may round to zero.
  if (scale == 0) scale = most;
  VF divisor = vf_set(scale > 0 ? scale : 1), low = vf_set(-127.0f), high = vf_set(127.0f);
  for (int64_t i = 0; i < dim; i += LANES) {
    int64_t n = dim - i;
    VF v = n >= LANES ? vf_load(x + i) : vf_load_n(x + i, n);
    VI codes = vi_of_vf(vf_min(vf_max(vf_round(vf_div(v, divisor)), low), high));
    if (n >= LANES) {
      vi_store_8(q + i, codes);
    } else {
      int8_t rest[LANES];
      vi_store_8(rest, codes);
      memcpy(q + i, rest, (size_t)n);
    }
  }
  return scale;
}

void DSO_KERNEL(quantize_heads_s8)(const float *x, int64_t ldx, int64_t rows, int64_t heads, int64_t dim, int8_t *q, int64_t ldq,
                                   float *scales, int64_t ld_scales) {
  for (int64_t row = 0; row < rows; row++)
    for (int64_t head = 0; head < heads; head++)
      scales[row * ld_scales + head] = quantize_head(x + row * ldx + head * dim, dim, q + row * ldq + head * dim);
}

INLINE float dot_codes(const float *a, const int8_t *b, int64_t count) {
  VF first = vf_zero(), second = vf_zero();
  int64_t i = 0;
  for (; i + 2 * LANES <= count; i += 2 * LANES) {
    first = vf_fma(vf_load(a + i), vf_of_vi(vi_load_s8(b + i)), first);
    second = vf_fma(vf_load(a + i + LANES), vf_of_vi(vi_load_s8(b + i + LANES)), second);
  }
  for (; i < count; i += LANES) {
    int64_t n = count - i;
    first = vf_fma(n >= LANES ? vf_load(a + i) : vf_load_n(a + i, n), load_codes(b + i, n), first);
  }
  return vf_sum(vf_add(first, second));
}

/// sums[d...] += sum of weights[j] * v[j][d...] for the `parts` vectors from d on.
INLINE void add_codes(int parts, const float *weights, int64_t count, const int8_t *v, int64_t ldv, float *sums) {
  VF acc[4];
  for (int p = 0; p < parts; p++) acc[p] = vf_load(sums + p * LANES);
  for (int64_t j = 0; j < count; j++)
    for (int p = 0; p < parts; p++) acc[p] = vf_fma(vf_set(weights[j]), vf_of_vi(vi_load_s8(v + j * ldv + p * LANES)), acc[p]);
  for (int p = 0; p < parts; p++) vf_store(sums + p * LANES, acc[p]);
}

/// One query. A key's scale belongs to its score, a value's to its weight.
static void attend_single_codes(const head *h, const areas *s, int64_t query) {
  const dso_quantized_head *k = h->k_codes, *v = h->v_codes;
  int64_t begin, end;
  visible_keys(h, h->q_offset + query, &begin, &end);
  const float *q = h->q + query * h->ldq;
  memset(s->sums, 0, (size_t)h->width * sizeof *s->sums);
  s->largest[0] = -INFINITY;
  s->totals[0] = 0;
  for (int64_t block = begin; block < end; block += KEYS) {
    int64_t count = dso_min_i64(KEYS, end - block), d = 0;
    const float *key_scales = k->scales + block * k->ld_scales, *value_scales = v->scales + block * v->ld_scales;
    for (int64_t j = 0; j < count; j++)
      s->scores[j] = dot_codes(q, k->codes + (block + j) * k->ld, h->head_dim) * (key_scales[j * k->ld_scales] * h->scale);
    soften_row(s->scores, 0, count, s->largest, s->totals, s->sums, h->width);
    for (int64_t j = 0; j < count; j++) s->scores[j] *= value_scales[j * v->ld_scales];
    const int8_t *codes = v->codes + block * v->ld;
    for (; d + 4 * LANES <= h->v_dim; d += 4 * LANES) add_codes(4, s->scores, count, codes + d, v->ld, s->sums + d);
    for (; d + LANES <= h->v_dim; d += LANES) add_codes(1, s->scores, count, codes + d, v->ld, s->sums + d);
    for (; d < h->v_dim; d++)
      for (int64_t j = 0; j < count; j++) s->sums[d] += s->scores[j] * (float)codes[j * v->ld + d];
  }
  store_row(h, s->sums, s->totals[0], h->out + query * h->ldo);
}

void DSO_KERNEL(attention_s8)(const float *q, int64_t ldq, const dso_quantized_head *k, const dso_quantized_head *v, float *out,
                              int64_t ldo, int64_t q_tokens, int64_t kv_tokens, int64_t q_offset, int64_t head_dim, int64_t v_dim,
                              float scale, int64_t window, void *scratch) {
  // Floats of one block stand behind the areas that the float kernel has too.
  float *block = (float *)((char *)scratch + dso_attention_scratch_bytes(head_dim, v_dim));
  head h = {.q = q, .k = block, .v = block + KEYS * head_dim, .out = out, .ldq = ldq, .ldk = head_dim, .ldv = v_dim, .ldo = ldo,
            .q_tokens = q_tokens, .kv_tokens = kv_tokens, .q_offset = q_offset, .head_dim = head_dim, .v_dim = v_dim, .window = window,
            .scale = scale, .width = (v_dim + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS, .k_codes = k, .v_codes = v, .block = block};
  areas s = cut_areas(scratch, head_dim, v_dim);
  if (q_tokens <= FEW_QUERIES) {
    for (int64_t t = 0; t < q_tokens; t++) attend_single_codes(&h, &s, t);
    return;
  }
  for (int64_t tile = 0; tile < q_tokens; tile += QUERIES) attend_tile(&h, &s, tile, dso_min_i64(QUERIES, q_tokens - tile));
}

#endif
