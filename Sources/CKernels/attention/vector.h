/// Causal attention, for the variant whose vectors and tile sizes are included before this file: blocks of queries against blocks of keys
/// with the tiles of the products, online softmax between them (Dao et al., FlashAttention, 2205.14135).
///
/// Blocks of keys lie at multiples of KEYS whatever the queries, and a key that a query does not see adds an exact 0: so a query's result
/// does not depend on the queries beside it (except through the choice between this and single.h).
#ifndef DSO_ATTENTION_VECTOR_H
#define DSO_ATTENTION_VECTOR_H

#include <math.h>

#include "../products/pack.h"
#include "../products/tile.h"
#include "../vectors/exponential.h"
#include "blocking.h"
#include "dequantize.h"

enum {
  QUERIES = DSO_QUERIES / TILE_ROWS * TILE_ROWS,
  KEYS = DSO_KEYS / TILE_COLUMNS * TILE_COLUMNS,
};

/// One head: the arguments of the call.
typedef struct {
  const float *q, *k, *v;
  float *out;
  int64_t ldq, ldk, ldv, ldo;
  int64_t q_tokens, kv_tokens, q_offset, head_dim, v_dim, window;
  float scale;
  int64_t width;  ///< v_dim in whole tiles
  /// Quantized keys and values; NULL when they are floats. Then k and v are the two halves of `block`.
  const dso_quantized_head *k_codes, *v_codes;
  float *block;  ///< one block of keys, then of values, as floats
} head;

typedef struct {
  float *queries;   ///< panels [head_dim][TILE_ROWS]
  float *keys;      ///< panels [head_dim][TILE_COLUMNS]
  float *values;    ///< panels [KEYS][TILE_COLUMNS]
  float *sums;      ///< [QUERIES, width]: weighted values so far
  float *scores;    ///< [TILE_ROWS, KEYS]
  float *weights;   ///< a panel [KEYS][TILE_ROWS]
  float *largest, *totals;  ///< [QUERIES]
} areas;

INLINE areas cut_areas(float *at, int64_t head_dim, int64_t v_dim) {
  int64_t depth = dso_whole_panels(head_dim), width = dso_whole_panels(v_dim);
  areas s;
  s.queries = at, at += DSO_QUERIES * depth + 64;
  s.keys = at, at += DSO_KEYS * depth + 64;
  s.values = at, at += DSO_KEYS * width + 64;
  s.sums = at, at += DSO_QUERIES * width + 64;
  s.scores = at, at += DSO_KEYS * DSO_WIDEST_PANEL + 64;
  s.weights = at, at += DSO_KEYS * DSO_WIDEST_PANEL + 64;
  s.largest = at, at += DSO_QUERIES + 64;
  s.totals = at;
  return s;
}

/// Keys first..<end that the query at a position sees.
INLINE void visible_keys(const head *h, int64_t position, int64_t *first, int64_t *end) {
  *first = h->window > 0 && position - h->window + 1 > 0 ? position - h->window + 1 : 0;
  *end = dso_min_i64(h->kv_tokens, position + 1);
}

INLINE void score_tile(int rows, const float *a, const float *b, int64_t depth, float scale, float *to) {
  VF acc[TILE_ROWS][TILE_VECTORS], scales = vf_set(scale);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < TILE_VECTORS; v++) acc[r][v] = vf_zero();
  multiply_panels(UNITS_F32, rows, a, b, depth, acc);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < TILE_VECTORS; v++) vf_store(to + r * KEYS + v * LANES, vf_mul(acc[r][v], scales));
}

INLINE void value_tile(int rows, const float *a, const float *b, int64_t keys, float *to, int64_t pitch) {
  VF acc[TILE_ROWS][TILE_VECTORS];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < TILE_VECTORS; v++) acc[r][v] = vf_load(to + r * pitch + v * LANES);
  multiply_panels(UNITS_F32, rows, a, b, keys, acc);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < TILE_VECTORS; v++) vf_store(to + r * pitch + v * LANES, acc[r][v]);
}

static void run_score_tile(int rows, const float *a, const float *b, int64_t depth, float scale, float *to) {
  switch (rows) { TILE_CASES(score_tile, a, b, depth, scale, to) }
}

static void run_value_tile(int rows, const float *a, const float *b, int64_t keys, float *to, int64_t pitch) {
  switch (rows) { TILE_CASES(value_tile, a, b, keys, to, pitch) }
}

/// A row of scores to weights e^(score - largest), in place over KEYS; keys outside first..<end get 0. Updates the row's largest score and
/// total, and shrinks its sums when the largest grows.
INLINE void soften_row(float *scores, int64_t first, int64_t end, float *largest, float *total, float *sums, int64_t width) {
  for (int64_t j = 0; j < dso_min_i64(first, KEYS); j++) scores[j] = -INFINITY;
  for (int64_t j = end > 0 ? end : 0; j < KEYS; j++) scores[j] = -INFINITY;
  VF most = vf_set(*largest);
  for (int64_t j = 0; j < KEYS; j += LANES) most = vf_max(vf_load(scores + j), most);
  float now = vf_largest(most);
  if (now > *largest) {
    VF shrink = vf_exp(vf_set(*largest - now));
    *total *= vf_smallest(shrink);
    for (int64_t d = 0; d < width; d += LANES) vf_store(sums + d, vf_mul(vf_load(sums + d), shrink));
    *largest = now;
  }
  // Before the first visible key there is no largest score: every weight comes out as 0.
  VF shift = vf_set(now == -INFINITY ? 0 : now), sum = vf_zero();
  for (int64_t j = 0; j < KEYS; j += LANES) {
    VF weight = vf_exp(vf_sub(vf_load(scores + j), shift));
    vf_store(scores + j, weight);
    sum = vf_add(sum, weight);
  }
  *total += vf_sum(sum);
}

/// Packs keys and values block..<block+count; missing keys are zero.
static void pack_block(const head *h, const areas *s, int64_t block, int64_t count) {
  for (int64_t j = 0; j < KEYS; j += LANES) {
    int64_t rows = count > j ? dso_min_i64(LANES, count - j) : 0;
    float *to = s->keys + j / TILE_COLUMNS * TILE_COLUMNS * h->head_dim + j % TILE_COLUMNS;
    const float *from = rows > 0 ? h->k + (block + j) * h->ldk : h->k;
    pack_rows((const uint8_t *)from, h->ldk * 4, rows, h->head_dim * 4, to, TILE_COLUMNS);
  }
  for (int64_t d = 0; d < h->width; d += LANES) {
    float *to = s->values + d / TILE_COLUMNS * TILE_COLUMNS * KEYS + d % TILE_COLUMNS;
    const float *from = h->v + block * h->ldv + d;
    int64_t n = h->v_dim - d;
    for (int64_t j = 0; j < count; j++, to += TILE_COLUMNS, from += h->ldv)
      vf_store(to, n >= LANES ? vf_load(from) : n > 0 ? vf_load_n(from, n) : vf_zero());
  }
}

/// The same of a block that may have to be dequantized first.
static void load_block(const head *h, const areas *s, int64_t block, int64_t count) {
  if (!h->k_codes) {
    pack_block(h, s, block, count);
    return;
  }
  dequantize_tokens(h->k_codes, block, count, h->head_dim, h->block);
  dequantize_tokens(h->v_codes, block, count, h->v_dim, h->block + KEYS * h->head_dim);
  pack_block(h, s, 0, count);
}

/// Queries query..<query+rows of one block of keys.
static void attend_panel(const head *h, const areas *s, int64_t query, int64_t in_tile, int rows, int64_t block, int64_t count) {
  int64_t earliest, latest, first, end;
  visible_keys(h, h->q_offset + query, &earliest, &end);
  visible_keys(h, h->q_offset + query + rows - 1, &first, &latest);
  if (latest <= block || earliest >= block + count) return;
  for (int64_t j = 0; j < KEYS; j += TILE_COLUMNS) {
    // A tile that no query of the panel sees is masked below whatever it holds.
    if (j < count && block + j < latest)
      run_score_tile(rows, s->queries + in_tile * h->head_dim, s->keys + j * h->head_dim, h->head_dim, h->scale, s->scores + j);
  }
  for (int r = 0; r < rows; r++) {
    visible_keys(h, h->q_offset + query + r, &first, &end);
    soften_row(s->scores + r * KEYS, first - block, dso_min_i64(end - block, count), s->largest + in_tile + r, s->totals + in_tile + r,
               s->sums + (in_tile + r) * h->width, h->width);
  }
  pack_activations((const uint8_t *)s->scores, KEYS * 4, rows, count * 4, s->weights);
  for (int64_t d = 0; d < h->width; d += TILE_COLUMNS)
    run_value_tile(rows, s->weights, s->values + d * KEYS, count, s->sums + in_tile * h->width + d, h->width);
}

/// out = sums / total; a query that sees no key gets zeros.
static void store_row(const head *h, const float *sums, float total, float *out) {
  VF divisor = vf_set(total != 0 ? total : 1);
  int64_t d = 0;
  for (; d + LANES <= h->v_dim; d += LANES) vf_store(out + d, vf_div(vf_load(sums + d), divisor));
  if (d < h->v_dim) vf_store_n(out + d, vf_div(vf_load(sums + d), divisor), h->v_dim - d);
}

static void attend_tile(const head *h, const areas *s, int64_t tile, int64_t queries) {
  for (int64_t i = 0; i < queries; i += TILE_ROWS)
    pack_activations((const uint8_t *)(h->q + (tile + i) * h->ldq), h->ldq * 4, dso_min_i64(TILE_ROWS, queries - i), h->head_dim * 4,
                     s->queries + i * h->head_dim);
  memset(s->sums, 0, (size_t)(queries * h->width) * sizeof *s->sums);
  for (int64_t i = 0; i < queries; i++) s->largest[i] = -INFINITY, s->totals[i] = 0;
  int64_t begin, end, unused;
  visible_keys(h, h->q_offset + tile, &begin, &unused);
  visible_keys(h, h->q_offset + tile + queries - 1, &unused, &end);
  for (int64_t block = begin / KEYS * KEYS; block < end; block += KEYS) {
    int64_t count = dso_min_i64(KEYS, end - block);
    load_block(h, s, block, count);
    for (int64_t i = 0; i < queries; i += TILE_ROWS)
      attend_panel(h, s, tile + i, i, (int)dso_min_i64(TILE_ROWS, queries - i), block, count);
  }
  for (int64_t i = 0; i < queries; i++) store_row(h, s->sums + i * h->width, s->totals[i], h->out + (tile + i) * h->ldo);
}

#include "single.h"

void DSO_KERNEL(attention)(const float *q, int64_t ldq, const float *k, int64_t ldk, const float *v, int64_t ldv, float *out,
                           int64_t ldo, int64_t q_tokens, int64_t kv_tokens, int64_t q_offset, int64_t head_dim, int64_t v_dim,
                           float scale, int64_t window, void *scratch) {
  head h = {q, k, v, out, ldq, ldk, ldv, ldo, q_tokens, kv_tokens, q_offset, head_dim, v_dim, window, scale,
            (v_dim + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS, NULL, NULL, NULL};
  areas s = cut_areas(scratch, head_dim, v_dim);
  if (q_tokens <= FEW_QUERIES) {
    for (int64_t t = 0; t < q_tokens; t++) attend_single(&h, &s, t);
    return;
  }
  for (int64_t tile = 0; tile < q_tokens; tile += QUERIES) attend_tile(&h, &s, tile, dso_min_i64(QUERIES, q_tokens - tile));
}

#include "quantized.h"
#include "selected.h"

#endif
