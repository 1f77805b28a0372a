/// The products of gradients in float and in bfloat16, for the variant whose vectors and tile sizes are included before this file.
///
/// Both have the rows of their second factor as the inner dimension, so that its panels are copied, not transposed. Blocks of the inner
/// dimension lie at multiples of DSO_BLOCK_UNITS units and are added in order, whatever the range of a call.
#ifndef DSO_GRADIENT_PRODUCTS_H
#define DSO_GRADIENT_PRODUCTS_H

#include "../products/blocking.h"
#include "../quantization/dequantize.h"
#include "spread.h"

enum {
  GRADIENT_COLUMNS = DSO_WEIGHTS_BYTES / 4 / DSO_BLOCK_UNITS / TILE_COLUMNS * TILE_COLUMNS,
  GRADIENT_ROWS = DSO_ACTIVATIONS_BYTES / 4 / DSO_BLOCK_UNITS / TILE_ROWS * TILE_ROWS,
};

typedef struct {
  unit_kind kind;  ///< floats, or pairs of bfloat16
  const float *a;
  int64_t lda;
  int transposed;  ///< whether a is [inner, rows]
  int64_t row_begin, row_end;
  const dso_weights *w;  ///< [inner, columns]
  int64_t column_begin, column_end;
  int accumulate;
  float *c;
  int64_t ldc;
} gradient_product;

INLINE void decode_columns(const dso_weights *w, int64_t row, int64_t begin, int64_t count, uint8_t *codes, float *out) {
  const uint8_t *data = dso_weight_row(w, row);
  switch (w->storage) {
    case DSO_STORAGE_F32: memcpy(out, data + 4 * begin, (size_t)count * sizeof *out); return;
    case DSO_STORAGE_BF16: DSO_KERNEL(convert_bf16_to_f32)(data + 2 * begin, out, count); return;
    case DSO_STORAGE_F16: DSO_KERNEL(convert_f16_to_f32)(data + 2 * begin, out, count); return;
    case DSO_STORAGE_QUANTIZED: dequantize_run(w, row, begin, count, codes, out); return;
  }
}

/// A block of the inner dimension.
typedef struct {
  int64_t begin, count;  ///< elements
  int64_t units;
} inner_block;

INLINE int64_t elements_per_unit(unit_kind kind) { return kind == UNITS_BF16 ? BF16_PER_UNIT : 1; }

/// Depends on the kind and the inner dimension only.
INLINE inner_block inner_block_at(unit_kind kind, int64_t begin, int64_t depth) {
  int64_t per = elements_per_unit(kind), count = dso_min_i64(DSO_BLOCK_UNITS * per, depth - begin);
  return (inner_block){begin, count, (count + per - 1) / per};
}

/// The block's rows of the second factor, `valid` columns from `column` on, as panels [units][TILE_COLUMNS].
INLINE void pack_second(packing how, const dso_weights *w, inner_block b, int64_t column, int64_t valid, const dso_product_scratch *s) {
  int64_t panel = b.units * TILE_COLUMNS;
  if (w->storage == DSO_STORAGE_F32) {
    spread_rows(how, dso_weight_row(w, b.begin) + 4 * column, w->row_bytes, valid, b.count, TILE_COLUMNS, panel, s->weights);
    return;
  }
  enum { PITCH = GRADIENT_COLUMNS + TILE_COLUMNS };
  float *lines = (float *)(void *)s->decoded, *to = s->weights;
  uint8_t *codes = s->decoded + BF16_PER_UNIT * PITCH * sizeof *lines;
  int64_t step = how == PACK_ROUNDING ? BF16_PER_UNIT : 1;
  for (int64_t d = 0; d < b.count; d += step, to += TILE_COLUMNS) {
    int64_t rows = dso_min_i64(step, b.count - d);
    for (int64_t r = 0; r < rows; r++) decode_columns(w, b.begin + d + r, column, valid, codes, lines + r * PITCH);
    spread_rows(how, (const uint8_t *)lines, PITCH * sizeof *lines, valid, rows, TILE_COLUMNS, panel, to);
  }
}

INLINE void pack_first(packing how, const gradient_product *p, inner_block b, int64_t row, int64_t rows, const dso_product_scratch *s) {
  if (p->transposed) {
    const uint8_t *from = (const uint8_t *)(p->a + b.begin * p->lda + row);
    spread_rows(how, from, 4 * p->lda, rows, b.count, TILE_ROWS, b.units * TILE_ROWS, s->activations);
    return;
  }
  for (int64_t i = 0; i < rows; i += TILE_ROWS)
    pack_activations_how(how, (const uint8_t *)(p->a + (row + i) * p->lda + b.begin), 4 * p->lda, dso_min_i64(TILE_ROWS, rows - i),
                         4 * b.count, s->activations + i * b.units);
}

/// All tiles of two packed blocks.
static void run_gradient_tiles(const gradient_product *p, inner_block b, int64_t column, int64_t valid, int64_t row, int64_t rows,
                               const dso_product_scratch *s) {
  for (int64_t j = 0; j < valid; j += TILE_COLUMNS) {
    for (int64_t i = 0; i < rows; i += TILE_ROWS) {
      int height = (int)dso_min_i64(TILE_ROWS, rows - i), add = p->accumulate || b.begin > 0;
      const float *first = s->activations + i * b.units, *second = s->weights + j * b.units;
      float *c = p->c + (row + i) * p->ldc + column + j;
      if (p->kind == UNITS_BF16) {
        run_bfloat16_tile(height, first, second, b.units, add, c, p->ldc, valid - j);
      } else {
        run_panel_tile(height, first, second, b.units, add, c, p->ldc, valid - j);
      }
    }
  }
}

INLINE void run_gradient_blocks(packing how, const gradient_product *p, void *scratch) {
  dso_product_scratch s = dso_cut_product_scratch(scratch);
  int64_t depth = p->w->n;
  for (int64_t column = p->column_begin; column < p->column_end; column += GRADIENT_COLUMNS) {
    int64_t valid = dso_min_i64(GRADIENT_COLUMNS, p->column_end - column);
    for (int64_t inner = 0; inner < depth;) {
      inner_block b = inner_block_at(p->kind, inner, depth);
      pack_second(how, p->w, b, column, valid, &s);
      for (int64_t row = p->row_begin; row < p->row_end; row += GRADIENT_ROWS) {
        int64_t rows = dso_min_i64(GRADIENT_ROWS, p->row_end - row);
        pack_first(how, p, b, row, rows, &s);
        run_gradient_tiles(p, b, column, valid, row, rows, &s);
      }
      inner += b.count;
    }
  }
}

/// An inner dimension of nothing leaves no block that would write.
static void clear_product(const gradient_product *p) {
  if (p->w->n > 0 || p->accumulate) return;
  for (int64_t row = p->row_begin; row < p->row_end; row++)
    for (int64_t column = p->column_begin; column < p->column_end; column++) p->c[row * p->ldc + column] = 0;
}

static void run_gradient_product(const gradient_product *p, void *scratch) {
  clear_product(p);
  if (p->kind == UNITS_BF16) {
    run_gradient_blocks(PACK_ROUNDING, p, scratch);
  } else {
    run_gradient_blocks(PACK_AS_IT_IS, p, scratch);
  }
}

void DSO_KERNEL(matmul_nn_f32)(const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end,
                               int accumulate, float *c, int64_t ldc, void *scratch) {
  gradient_product p = {UNITS_F32, a, lda, 0, 0, m, w, n_begin, n_end, accumulate, c, ldc};
  run_gradient_product(&p, scratch);
}

void DSO_KERNEL(matmul_nn_bf16)(const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end,
                                int accumulate, float *c, int64_t ldc, void *scratch) {
  gradient_product p = {UNITS_BF16, a, lda, 0, 0, m, w, n_begin, n_end, accumulate, c, ldc};
  run_gradient_product(&p, scratch);
}

static void multiply_transposed(unit_kind kind, const float *a, int64_t lda, int64_t m_begin, int64_t m_end, const float *b, int64_t ldb,
                                int64_t n, int64_t k, int accumulate, float *c, int64_t ldc, void *scratch) {
  dso_weights w = {.storage = DSO_STORAGE_F32, .data = b, .row_bytes = 4 * ldb, .n = k, .k = n};
  gradient_product p = {kind, a, lda, 1, m_begin, m_end, &w, 0, n, accumulate, c, ldc};
  run_gradient_product(&p, scratch);
}

void DSO_KERNEL(matmul_tn_f32)(const float *a, int64_t lda, int64_t m_begin, int64_t m_end, const float *b, int64_t ldb, int64_t n,
                               int64_t k, int accumulate, float *c, int64_t ldc, void *scratch) {
  multiply_transposed(UNITS_F32, a, lda, m_begin, m_end, b, ldb, n, k, accumulate, c, ldc, scratch);
}

void DSO_KERNEL(matmul_tn_bf16)(const float *a, int64_t lda, int64_t m_begin, int64_t m_end, const float *b, int64_t ldb, int64_t n,
                                int64_t k, int accumulate, float *c, int64_t ldc, void *scratch) {
  multiply_transposed(UNITS_BF16, a, lda, m_begin, m_end, b, ldb, n, k, accumulate, c, ldc, scratch);
}

#endif
