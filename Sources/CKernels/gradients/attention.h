/// The gradient of attention, for the variant whose vectors and tile sizes are included before this file: blocks of queries against blocks
/// of keys, probabilities recomputed (Dao, FlashAttention-2, 2307.08691).
///
/// Blocks are cut by the position in the sequence alone and added in order; a key that a query does not see adds an exact 0.
#ifndef DSO_GRADIENT_ATTENTION_H
#define DSO_GRADIENT_ATTENTION_H

#include <math.h>

#include "../vectors/exponential.h"
#include "areas.h"

enum {
  QUERIES = DSO_GRADIENT_QUERIES / TILE_ROWS * TILE_ROWS,
  KEYS = DSO_GRADIENT_KEYS / TILE_COLUMNS * TILE_COLUMNS,
};

/// Some queries of one query head, at most QUERIES.
typedef struct {
  const dso_attention_gradient *g;
  const dso_gradient_areas *s;
  const float *queries, *output, *output_gradient;
  float *query_gradient;
  int64_t position, count;  ///< of the first query; queries
  int64_t first_key, end_key;  ///< what they see together
} query_block;

typedef struct { int64_t begin, end; } key_range;

/// Keys that the query at a position sees.
INLINE key_range visible_to(const dso_attention_gradient *g, int64_t position) {
  key_range r = {g->window > 0 && position - g->window + 1 > 0 ? position - g->window + 1 : 0, dso_min_i64(g->kv_tokens, position + 1)};
  return r;
}

static const float key_numbers[] = {
    0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
    32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63,
    64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95,
};
_Static_assert(sizeof key_numbers / sizeof *key_numbers == DSO_GRADIENT_KEYS, "one number for each key of a block");

/// Lanes of `value` whose keys lie within begin..<end of the block, the others `outside`.
INLINE VF within(VF value, VF outside, int64_t j, VF begin, VF end) {
  VF number = vf_load(key_numbers + j);
  return vf_where_less(number, begin, outside, vf_where_less(number, end, value, outside));
}

INLINE float dot_rows(const float *a, const float *b, int64_t count) {
  VF sum = vf_zero();
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) sum = vf_fma(vf_load(a + i), vf_load(b + i), sum);
  if (i < count) sum = vf_fma(vf_load_n(a + i, count - i), vf_load_n(b + i, count - i), sum);
  return vf_sum(sum);
}

/// Products of a panel of packed rows with the tiles of keys that any of the rows sees.
static void score_panel(int rows, const float *panel, const float *keys, int64_t depth, key_range seen, float *to) {
  for (int64_t j = 0; j < KEYS; j += TILE_COLUMNS)
    if (j < seen.end && j + TILE_COLUMNS > seen.begin)
      run_panel_tile(rows, panel, keys + j * depth, depth, 0, to + j, KEYS, TILE_COLUMNS);
}

/// What the rows of a panel see of a block of keys together, relative to the block and cut to it.
INLINE key_range panel_range(const query_block *b, int64_t i, int rows, int64_t block) {
  key_range seen = {visible_to(b->g, b->position + i).begin - block, visible_to(b->g, b->position + i + rows - 1).end - block};
  if (seen.begin < 0) seen.begin = 0;
  if (seen.end > KEYS) seen.end = KEYS;
  return seen;
}

static void pack_keys(const float *from, int64_t ld, int64_t count, int64_t depth, float *to) {
  for (int64_t j = 0; j < KEYS; j += LANES) {
    int64_t rows = count > j ? dso_min_i64(LANES, count - j) : 0;
    pack_rows((const uint8_t *)(rows > 0 ? from + j * ld : from), ld * 4, rows, depth * 4,
              to + j / TILE_COLUMNS * TILE_COLUMNS * depth + j % TILE_COLUMNS, TILE_COLUMNS);
  }
}

/// Rows as panels [units][TILE_COLUMNS] of their columns, each panel `pitch` units long.
static void pack_columns(const float *from, int64_t ld, int64_t count, int64_t width, int64_t pitch, float *to) {
  for (int64_t d = 0; d < width; d += TILE_COLUMNS)
    copy_panel((const uint8_t *)(from + d), ld * 4, width - d, count, TILE_COLUMNS, to + d * pitch);
}

static void pack_queries(const query_block *b) {
  const dso_attention_gradient *g = b->g;
  const dso_gradient_areas *s = b->s;
  for (int64_t i = 0; i < b->count; i += TILE_ROWS) {
    int64_t rows = dso_min_i64(TILE_ROWS, b->count - i);
    pack_activations((const uint8_t *)(b->queries + i * g->ld_queries), g->ld_queries * 4, rows, g->head_dim * 4,
                     s->queries + i * g->head_dim);
    pack_activations((const uint8_t *)(b->output_gradient + i * g->ld_output_gradient), g->ld_output_gradient * 4, rows, g->v_dim * 4,
                     s->output_gradient + i * g->v_dim);
  }
  pack_columns(b->queries, g->ld_queries, b->count, g->head_dim, QUERIES, s->query_columns);
  pack_columns(b->output_gradient, g->ld_output_gradient, b->count, g->v_dim, QUERIES, s->gradient_columns);
}

/// Takes a row of unscaled scores into the row's largest score and total.
INLINE void summarize_row(const float *scores, key_range seen, float scale, float *largest, float *total) {
  VF begin = vf_set((float)seen.begin), end = vf_set((float)seen.end), none = vf_set(-INFINITY), scales = vf_set(scale);
  VF most = vf_set(*largest), scaled[KEYS / LANES];
  for (int64_t j = 0; j < KEYS; j += LANES) {
    scaled[j / LANES] = within(vf_mul(vf_load(scores + j), scales), none, j, begin, end);
    most = vf_max(scaled[j / LANES], most);
  }
  float now = vf_largest(most);
  VF shift = vf_set(now), sum = vf_zero();
  for (int64_t j = 0; j < KEYS; j += LANES) sum = vf_add(sum, vf_exp(vf_sub(scaled[j / LANES], shift)));
  *total = *total * vf_smallest(vf_exp(vf_set(*largest - now))) + vf_sum(sum);
  *largest = now;
}

/// The first pass over the keys: each query's largest score and total, and its output times its gradient.
static void summarize_queries(const query_block *b) {
  const dso_attention_gradient *g = b->g;
  const dso_gradient_areas *s = b->s;
  for (int64_t i = 0; i < b->count; i++) {
    s->largest[i] = -INFINITY, s->inverse[i] = 0;
    s->products[i] = dot_rows(b->output + i * g->ld_output, b->output_gradient + i * g->ld_output_gradient, g->v_dim);
  }
  for (int64_t block = b->first_key / KEYS * KEYS; block < b->end_key; block += KEYS) {
    pack_keys(g->keys + block * g->ld_keys, g->ld_keys, dso_min_i64(KEYS, b->end_key - block), g->head_dim, s->keys);
    for (int64_t i = 0; i < b->count; i += TILE_ROWS) {
      int rows = (int)dso_min_i64(TILE_ROWS, b->count - i);
      key_range seen = panel_range(b, i, rows, block);
      if (seen.begin >= seen.end) continue;
      score_panel(rows, s->queries + i * g->head_dim, s->keys, g->head_dim, seen, s->weights + i * KEYS);
      for (int r = 0; r < rows; r++) {
        key_range own = panel_range(b, i + r, 1, block);
        if (own.begin < own.end) summarize_row(s->weights + (i + r) * KEYS, own, g->scale, s->largest + i + r, s->inverse + i + r);
      }
    }
  }
  for (int64_t i = 0; i < b->count; i++) s->inverse[i] = s->inverse[i] > 0 ? 1 / s->inverse[i] : 0;
}

/// A row of scores becomes probabilities, a row of their gradients those of the unscaled scores.
INLINE void slope_row(const query_block *b, int64_t i, key_range seen) {
  const dso_gradient_areas *s = b->s;
  float *weights = s->weights + i * KEYS, *slopes = s->slopes + i * KEYS;
  VF begin = vf_set((float)seen.begin), end = vf_set((float)seen.end), scale = vf_set(b->g->scale), zero = vf_zero();
  VF largest = vf_set(s->largest[i]), inverse = vf_set(s->inverse[i]), product = vf_set(s->products[i]);
  for (int64_t j = 0; j < KEYS; j += LANES) {
    VF weight = vf_mul(vf_exp(vf_sub(vf_mul(vf_load(weights + j), scale), largest)), inverse);
    VF slope = vf_mul(vf_mul(weight, scale), vf_sub(vf_load(slopes + j), product));
    vf_store(weights + j, within(weight, zero, j, begin, end));
    vf_store(slopes + j, within(slope, zero, j, begin, end));
  }
}

/// Sums over keys (count by count) of key-block tiles: rows of `a` are keys, units are queries.
static void run_key_tile(int rows, const float *a, const float *b, int64_t units, float *c, int64_t ldc, int64_t columns) {
  switch (rows) { TILE_CASES(strided_tile, a, 1, KEYS, b, units, 1, c, ldc, columns) }
}

static void run_query_tile(int rows, const float *a, const float *b, int64_t units, float *c, int64_t ldc, int64_t columns) {
  switch (rows) { TILE_CASES(strided_tile, a, KEYS, 1, b, units, 1, c, ldc, columns) }
}

/// The queries of the block that see any of the keys begin..<end, relative to the block of queries.
INLINE key_range queries_seeing(const query_block *b, int64_t begin, int64_t end) {
  key_range r = {begin - b->position, b->count};
  if (r.begin < 0) r.begin = 0;
  if (b->g->window > 0) r.end = dso_min_i64(r.end, end - 1 + b->g->window - b->position);
  return r;
}

static void add_key_gradients(const query_block *b, int64_t block, int64_t count) {
  const dso_attention_gradient *g = b->g;
  const dso_gradient_areas *s = b->s;
  for (int64_t j = 0; j < count; j += TILE_ROWS) {
    int rows = (int)dso_min_i64(TILE_ROWS, count - j);
    key_range seeing = queries_seeing(b, block + j, block + j + rows);
    int64_t units = seeing.end - seeing.begin;
    if (units <= 0) continue;
    const float *weights = s->weights + seeing.begin * KEYS + j, *slopes = s->slopes + seeing.begin * KEYS + j;
    for (int64_t d = 0; d < g->v_dim; d += TILE_COLUMNS)
      run_key_tile(rows, weights, s->gradient_columns + d * QUERIES + seeing.begin * TILE_COLUMNS, units,
                   g->value_gradient + (block + j) * g->ld_value_gradient + d, g->ld_value_gradient, g->v_dim - d);
    for (int64_t d = 0; d < g->head_dim; d += TILE_COLUMNS)
      run_key_tile(rows, slopes, s->query_columns + d * QUERIES + seeing.begin * TILE_COLUMNS, units,
                   g->key_gradient + (block + j) * g->ld_key_gradient + d, g->ld_key_gradient, g->head_dim - d);
  }
}

static void add_block_gradients(const query_block *b, int64_t block, int64_t count) {
  const dso_attention_gradient *g = b->g;
  const dso_gradient_areas *s = b->s;
  pack_keys(g->keys + block * g->ld_keys, g->ld_keys, count, g->head_dim, s->keys);
  pack_keys(g->values + block * g->ld_values, g->ld_values, count, g->v_dim, s->values);
  pack_columns(g->keys + block * g->ld_keys, g->ld_keys, count, g->head_dim, KEYS, s->key_columns);
  for (int64_t i = 0; i < b->count; i += TILE_ROWS) {
    int rows = (int)dso_min_i64(TILE_ROWS, b->count - i);
    key_range seen = panel_range(b, i, rows, block);
    if (seen.begin >= seen.end) continue;
    score_panel(rows, s->queries + i * g->head_dim, s->keys, g->head_dim, seen, s->weights + i * KEYS);
    score_panel(rows, s->output_gradient + i * g->v_dim, s->values, g->v_dim, seen, s->slopes + i * KEYS);
    for (int r = 0; r < rows; r++) slope_row(b, i + r, panel_range(b, i + r, 1, block));
    for (int64_t d = 0; d < g->head_dim; d += TILE_COLUMNS)
      run_query_tile(rows, s->slopes + i * KEYS + seen.begin, s->key_columns + d * KEYS + seen.begin * TILE_COLUMNS, seen.end - seen.begin,
                     b->query_gradient + i * g->ld_query_gradient + d, g->ld_query_gradient, g->head_dim - d);
  }
  add_key_gradients(b, block, count);
}

static void clear_rows(float *x, int64_t ld, int64_t rows, int64_t width) {
  for (int64_t row = 0; row < rows; row++) memset(x + row * ld, 0, (size_t)width * sizeof *x);
}

void DSO_KERNEL(attention_backward)(const dso_attention_gradient *g, void *scratch) {
  dso_gradient_areas s = dso_cut_gradient_areas(scratch, g->head_dim, g->v_dim);
  clear_rows(g->query_gradient, g->ld_query_gradient, g->q_tokens, g->query_heads * g->head_dim);
  clear_rows(g->key_gradient, g->ld_key_gradient, g->kv_tokens, g->head_dim);
  clear_rows(g->value_gradient, g->ld_value_gradient, g->kv_tokens, g->v_dim);
  for (int64_t head = 0; head < g->query_heads; head++) {
    for (int64_t query = 0; query < g->q_tokens; query += QUERIES) {
      int64_t count = dso_min_i64(QUERIES, g->q_tokens - query), position = g->q_offset + query;
      int64_t in_output = head * g->v_dim, in_queries = head * g->head_dim;
      query_block b = {g, &s, g->queries + query * g->ld_queries + in_queries, g->output + query * g->ld_output + in_output,
                       g->output_gradient + query * g->ld_output_gradient + in_output,
                       g->query_gradient + query * g->ld_query_gradient + in_queries, position, count,
                       visible_to(g, position).begin, visible_to(g, position + count - 1).end};
      pack_queries(&b);
      summarize_queries(&b);
      for (int64_t block = b.first_key / KEYS * KEYS; block < b.end_key; block += KEYS)
        add_block_gradients(&b, block, dso_min_i64(KEYS, b.end_key - block));
    }
  }
}

#endif
