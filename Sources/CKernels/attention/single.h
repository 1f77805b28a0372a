/// Attention of one query (decode): keys and values are streamed where they lie, without packing.
#ifndef DSO_ATTENTION_SINGLE_H
#define DSO_ATTENTION_SINGLE_H

/// Up to this many queries it costs more to pack the keys than to stream them for each query.
enum { FEW_QUERIES = 3 };

INLINE float dot(const float *a, const float *b, int64_t count) {
  VF first = vf_zero(), second = vf_zero();
  int64_t i = 0;
  for (; i + 2 * LANES <= count; i += 2 * LANES) {
    first = vf_fma(vf_load(a + i), vf_load(b + i), first);
    second = vf_fma(vf_load(a + i + LANES), vf_load(b + i + LANES), second);
  }
  for (; i < count; i += LANES) {
    int64_t n = count - i;
    first = n >= LANES ? vf_fma(vf_load(a + i), vf_load(b + i), first) : vf_fma(vf_load_n(a + i, n), vf_load_n(b + i, n), first);
  }
  return vf_sum(vf_add(first, second));
}

/// sums[d...] += sum of weights[j] * v[j][d...] for the `parts` vectors from d on.
INLINE void add_values(int parts, const float *weights, int64_t count, const float *v, int64_t ldv, float *sums) {
  VF acc[4];
  for (int p = 0; p < parts; p++) acc[p] = vf_load(sums + p * LANES);
  for (int64_t j = 0; j < count; j++)
    for (int p = 0; p < parts; p++) acc[p] = vf_fma(vf_set(weights[j]), vf_load(v + j * ldv + p * LANES), acc[p]);
  for (int p = 0; p < parts; p++) vf_store(sums + p * LANES, acc[p]);
}

static void attend_single(const head *h, const areas *s, int64_t query) {
  int64_t begin, end;
  visible_keys(h, h->q_offset + query, &begin, &end);
  const float *q = h->q + query * h->ldq;
  memset(s->sums, 0, (size_t)h->width * sizeof *s->sums);
  s->largest[0] = -INFINITY;
  s->totals[0] = 0;
  for (int64_t block = begin; block < end; block += KEYS) {
    int64_t count = dso_min_i64(KEYS, end - block), d = 0;
    for (int64_t j = 0; j < count; j++) s->scores[j] = dot(q, h->k + (block + j) * h->ldk, h->head_dim) * h->scale;
    soften_row(s->scores, 0, count, s->largest, s->totals, s->sums, h->width);
    const float *v = h->v + block * h->ldv;
    for (; d + 4 * LANES <= h->v_dim; d += 4 * LANES) add_values(4, s->scores, count, v + d, h->ldv, s->sums + d);
    for (; d + LANES <= h->v_dim; d += LANES) add_values(1, s->scores, count, v + d, h->ldv, s->sums + d);
    for (; d < h->v_dim; d++)
      for (int64_t j = 0; j < count; j++) s->sums[d] += s->scores[j] * v[j * h->ldv + d];
  }
  store_row(h, s->sums, s->totals[0], h->out + query * h->ldo);
}

#endif
