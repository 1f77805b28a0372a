/// The loops around the tiles: columns, blocks of K, rows.
#ifndef DSO_DRIVER_H
#define DSO_DRIVER_H

/// What all products have in common.
typedef struct {
  const dso_weights *w;
  const void *a;        ///< float, bfloat16, int8 or int16, by kind; float that becomes bfloat16 when `rounding`
  int64_t lda, m;
  const float *a_scales;
  int64_t n_begin, n_end;
  const float *bias;
  float *c;
  int64_t ldc;
  int rounding;
} product;

/// A block of K.
typedef struct {
  unit_kind kind;
  int64_t begin, count;  ///< elements
  int64_t units;         ///< of the whole block in a panel
  int grouped, first, last;
  int64_t group_begin, groups, group_size;
  int cut;  ///< whether `groups` are pieces of the one group group_begin
} block;

INLINE int64_t units_of(unit_kind kind, int64_t elements) {
#ifdef UNITS_IN_PAIRS
  if (kind == UNITS_CODES) return (elements + 2 * CODES_PER_UNIT - 1) / (2 * CODES_PER_UNIT) * 2;
#endif
  int64_t per = kind == UNITS_F32 ? 1 : kind == UNITS_BF16 ? BF16_PER_UNIT : kind == UNITS_CODES ? CODES_PER_UNIT : WIDE_PER_UNIT;
  return (elements + per - 1) / per;
}

/// A block of 16-bit activations: whole groups, or pieces of a longer one.
INLINE block wide_block_at(const dso_weights *w, int64_t begin) {
  int64_t run = dso_wide_run(w), groups = dso_group_count(w), size = dso_min_i64(w->group_size, w->k);
  block b = {.kind = UNITS_WIDE, .begin = begin, .grouped = 1, .first = begin == 0, .group_begin = begin / size};
  b.cut = size > run;
  b.group_size = b.cut ? run : size;
  if (b.cut) {
    b.count = dso_min_i64(DSO_WIDE_RUN, dso_min_i64((b.group_begin + 1) * size, w->k) - begin);
    b.groups = (b.count + run - 1) / run;
  } else {
    b.groups = dso_min_i64(dso_min_i64(DSO_WIDE_RUN / size, DSO_BLOCK_GROUPS), groups - b.group_begin);
    b.count = dso_min_i64(b.groups * size, w->k - begin);
  }
  b.units = (b.groups - 1) * units_of(UNITS_WIDE, b.group_size) + units_of(UNITS_WIDE, b.count - (b.groups - 1) * b.group_size);
  b.last = begin + b.count >= w->k;
  return b;
}

/// The block that begins at an element. Depends on the kind, K and the group size only.
INLINE block block_at(unit_kind kind, const dso_weights *w, int64_t begin) {
  if (kind == UNITS_WIDE) return wide_block_at(w, begin);
  block b = {.kind = kind, .begin = begin, .first = begin == 0, .groups = 1, .group_size = w->k};
  int64_t groups = kind == UNITS_CODES ? dso_group_count(w) : 1;
  int64_t deepest = DSO_BLOCK_UNITS * (kind == UNITS_F32 ? 1 : kind == UNITS_BF16 ? BF16_PER_UNIT : CODES_PER_UNIT);
  b.grouped = groups > 1;
  if (b.grouped) {
    int64_t whole = deepest / w->group_size;
    whole = whole < 1 ? 1 : dso_min_i64(whole, DSO_BLOCK_GROUPS);
    b.group_size = w->group_size;
    b.group_begin = begin / w->group_size;
    b.groups = dso_min_i64(whole, groups - b.group_begin);
    b.count = dso_min_i64(b.groups * w->group_size, w->k - begin);
    b.units = (b.groups - 1) * units_of(kind, w->group_size) + units_of(kind, b.count - (b.groups - 1) * w->group_size);
  } else {
    b.count = dso_min_i64(deepest, w->k - begin);
    b.units = units_of(kind, b.count);
    b.group_size = b.count;
  }
  b.last = begin + b.count >= w->k;
  return b;
}

static void pack_weight_block(const product *p, const block *b, int64_t column, int64_t columns, const dso_product_scratch *s) {
  const dso_weights *w = p->w;
  for (int64_t j = 0; j < columns; j += TILE_COLUMNS) {
    float *to = s->weights + j * b->units;
    if (b->kind == UNITS_F32 || b->kind == UNITS_BF16) {
      pack_float_weights(w, b->kind, column + j, p->n_end, b->begin, b->count, s->decoded, to);
      continue;
    }
    for (int64_t g = 0; g < b->groups; g++) {
      int64_t begin = g * b->group_size, count = dso_min_i64(b->group_size, b->count - begin);
      if (b->kind == UNITS_WIDE) {
        pack_wide_codes(w, column + j, p->n_end, b->begin + begin, count, s->decoded, to);
      } else {
        pack_codes_of_group(w, column + j, p->n_end, b->begin + begin, count, s->decoded, to);
      }
      to += units_of(b->kind, count) * TILE_COLUMNS;
    }
  }
  if (b->kind == UNITS_F32 || b->kind == UNITS_BF16) return;
  int64_t groups = dso_group_count(w);
  int base = CODES_UNSIGNED ? 1 << (w->bits - 1) : 0;
  for (int64_t j = 0; j < columns; j++) {
    for (int64_t g = 0; g < b->groups; g++) {
      int64_t at = (column + j) * groups + b->group_begin + (b->cut ? 0 : g);
      int inside = column + j < p->n_end;
      s->scales[g * DSO_COLUMNS + j] = inside ? w->scales[at] : 0;
      s->offsets[g * DSO_COLUMNS + j] = base + (inside && w->zero_points ? w->zero_points[at] : 0);
    }
  }
}

/// Packs rows row..<row+rows of the activations, and the negative sums of their codes.
static void pack_activation_block(const product *p, const block *b, int64_t row, int64_t rows, const dso_product_scratch *s) {
  int64_t size = b->kind == UNITS_F32 || p->rounding ? 4 : b->kind == UNITS_CODES ? 1 : 2;
  int summed = b->kind == UNITS_CODES && (CODES_UNSIGNED || p->w->zero_points);
  for (int64_t i = 0; i < rows; i += TILE_ROWS) {
    int64_t height = dso_min_i64(TILE_ROWS, rows - i);
    const uint8_t *from = (const uint8_t *)p->a + ((row + i) * p->lda + b->begin) * size;
    int64_t from_bytes = p->lda * size;
    float *to = s->activations + i * b->units;
    for (int64_t g = 0; g < b->groups; g++) {
      int64_t begin = g * b->group_size, count = dso_min_i64(b->group_size, b->count - begin);
      const uint8_t *part = from + begin * size;
#ifdef UNITS_IN_PAIRS
      if (b->kind == UNITS_CODES) {
        pack_pairs(part, from_bytes, TILE_ROWS, height, count, to, TILE_ROWS);
      } else
#endif
      if (p->rounding) {
        pack_activations_how(PACK_ROUNDING, part, from_bytes, height, count * size, to);
      } else if (b->kind == UNITS_F32 || (b->kind == UNITS_BF16 && BF16_PER_UNIT == 2) || (b->kind == UNITS_CODES && CODE_BYTES == 1) ||
                 (b->kind == UNITS_WIDE && WIDE_BYTES == 2)) {
        pack_activations(part, from_bytes, height, count * size, to);
      } else {
        int64_t wide = b->kind == UNITS_CODES ? CODE_BYTES : b->kind == UNITS_WIDE ? WIDE_BYTES : 4, pitch = DSO_LONGEST_GROUP * CODE_BYTES;
        for (int64_t r = 0; r < height; r++) widen_activations(b->kind, part + r * from_bytes, count, s->decoded + r * pitch);
        pack_activations(s->decoded, pitch, height, count * wide, to);
      }
      if (summed)
        for (int64_t r = 0; r < height; r++)
          s->sums[g * DSO_ROWS + i + r] = -sum_codes((const int8_t *)part + r * from_bytes, count);
      to += units_of(b->kind, count) * TILE_ROWS;
    }
  }
}

INLINE void run_tile(const block *b, int rows, const float *a, const float *weights, const tile_groups *groups,
                     const tile_place *at) {
  switch (b->kind) {
    case UNITS_F32: run_f32_tile(rows, a, weights, b->units, at); return;
    case UNITS_BF16:
#if BF16_PER_UNIT == 2
      run_bf16_tile(rows, a, weights, b->units, at);
#else
      run_f32_tile(rows, a, weights, b->units, at);
#endif
      return;
    case UNITS_CODES:
      if (b->grouped) {
        run_grouped_code_tile(rows, a, weights, groups, at);
      } else {
        run_plain_code_tile(rows, a, weights, groups, at);
      }
      return;
    case UNITS_WIDE: run_wide_tile(rows, a, weights, groups, at); return;
  }
}

/// A tile that reaches over the last column works on a copy.
static void run_edge_tile(const block *b, int rows, int64_t columns, const float *a, const float *weights,
                          const tile_groups *groups, const tile_place *at) {
  float copy[TILE_ROWS * TILE_COLUMNS] __attribute__((aligned(64)));
  tile_place inside = *at;
  inside.c = copy;
  inside.ldc = TILE_COLUMNS;
  memset(copy, 0, sizeof copy);
  for (int r = 0; !at->first && r < rows; r++) memcpy(copy + r * TILE_COLUMNS, at->c + r * at->ldc, (size_t)columns * sizeof *copy);
  run_tile(b, rows, a, weights, groups, &inside);
  for (int r = 0; r < rows; r++) memcpy(at->c + r * at->ldc, copy + r * TILE_COLUMNS, (size_t)columns * sizeof *copy);
}

/// All tiles of a packed block of weights and a packed block of activations.
static void run_tiles(const product *p, const block *b, int64_t column, int64_t columns, int64_t row, int64_t rows,
                      const dso_product_scratch *s) {
  int offsets = CODES_UNSIGNED || p->w->zero_points;
  for (int64_t j = 0; j < columns; j += TILE_COLUMNS) {
    int64_t width = dso_min_i64(TILE_COLUMNS, p->n_end - column - j);
    for (int64_t i = 0; i < rows; i += TILE_ROWS) {
      int height = (int)dso_min_i64(TILE_ROWS, rows - i);
      const float *a = s->activations + i * b->units, *weights = s->weights + j * b->units;
      tile_place at = {p->c + (row + i) * p->ldc + column + j, p->ldc, b->first, b->last, p->bias ? s->bias + j : NULL,
                       p->a_scales ? p->a_scales + row + i : NULL};
      tile_groups groups = {b->groups, units_of(b->kind, b->group_size),
                            units_of(b->kind, b->count - (b->groups - 1) * b->group_size), s->scales + j,
                            offsets ? s->offsets + j : NULL, DSO_COLUMNS, s->sums + i, DSO_ROWS};
      if (width == TILE_COLUMNS) {
        run_tile(b, height, a, weights, &groups, &at);
      } else {
        run_edge_tile(b, height, width, a, weights, &groups, &at);
      }
    }
  }
}

/// With K = 0 no block runs: the result is the bias.
static void store_bias(const product *p) {
  for (int64_t i = 0; i < p->m; i++)
    for (int64_t j = p->n_begin; j < p->n_end; j++) p->c[i * p->ldc + j] = p->bias ? p->bias[j] : 0;
}

static void run_product(const product *p, unit_kind kind, void *scratch) {
  dso_product_scratch s = dso_cut_product_scratch(scratch);
  const dso_weights *w = p->w;
  if (w->k <= 0) {
    store_bias(p);
    return;
  }
  int64_t deepest = block_at(kind, w, 0).units;
  int64_t most_columns = dso_min_i64(DSO_WEIGHTS_BYTES / (4 * deepest), DSO_COLUMNS) / TILE_COLUMNS * TILE_COLUMNS;
  int64_t most_rows = dso_min_i64(DSO_ACTIVATIONS_BYTES / (4 * deepest), DSO_ROWS) / TILE_ROWS * TILE_ROWS;
  for (int64_t column = p->n_begin; column < p->n_end; column += most_columns) {
    int64_t valid = dso_min_i64(most_columns, p->n_end - column);
    int64_t columns = (valid + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS;
    if (p->bias) {
      memset(s.bias, 0, (size_t)columns * sizeof *s.bias);
      memcpy(s.bias, p->bias + column, (size_t)valid * sizeof *s.bias);
    }
    for (int64_t begin = 0; begin < w->k;) {
      block b = block_at(kind, w, begin);
      pack_weight_block(p, &b, column, columns, &s);
      for (int64_t row = 0; row < p->m; row += most_rows) {
        int64_t rows = dso_min_i64(most_rows, p->m - row);
        pack_activation_block(p, &b, row, rows, &s);
        run_tiles(p, &b, column, columns, row, rows, &s);
      }
      begin += b.count;
    }
  }
}

#ifndef ONLY_CODES
void DSO_KERNEL(matmul_f32)(const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end,
                            const float *bias, float *c, int64_t ldc, void *scratch) {
  product p = {w, a, lda, m, NULL, n_begin, n_end, bias, c, ldc, 0};
  run_product(&p, UNITS_F32, scratch);
}

void DSO_KERNEL(matmul_nt_bf16)(const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end,
                                const float *bias, float *c, int64_t ldc, void *scratch) {
  product p = {w, a, lda, m, NULL, n_begin, n_end, bias, c, ldc, 1};
  run_product(&p, UNITS_BF16, scratch);
}

void DSO_KERNEL(matmul_bf16)(const uint16_t *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end,
                             const float *bias, float *c, int64_t ldc, void *scratch) {
  product p = {w, a, lda, m, NULL, n_begin, n_end, bias, c, ldc, 0};
  run_product(&p, UNITS_BF16, scratch);
}
#endif

void DSO_KERNEL(matmul_s8)(const int8_t *a, int64_t lda, const float *a_scales, const int32_t *sums, int64_t m, const dso_weights *w,
                           int64_t n_begin, int64_t n_end, const float *bias, float *c, int64_t ldc, void *scratch) {
  // Integers of several very long groups do not fit the blocks; no scheme in use has them.
  int64_t groups = dso_group_count(w);
  if ((groups > 1 && w->group_size > DSO_LONGEST_GROUP) || w->k > DSO_EXACT_RUN) {
    dso_portable_matmul_s8(a, lda, a_scales, sums, m, w, n_begin, n_end, bias, c, ldc, scratch);
    return;
  }
  product p = {w, a, lda, m, a_scales, n_begin, n_end, bias, c, ldc, 0};
  run_product(&p, UNITS_CODES, scratch);
}

#ifndef ONLY_CODES
void DSO_KERNEL(matmul_s16)(const int16_t *a, int64_t lda, const float *a_scales, int64_t m, const dso_weights *w, int64_t n_begin,
                            int64_t n_end, const float *bias, float *c, int64_t ldc, void *scratch) {
  product p = {w, a, lda, m, a_scales, n_begin, n_end, bias, c, ldc, 0};
  run_product(&p, UNITS_WIDE, scratch);
}
#endif

#endif
