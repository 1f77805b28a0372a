/// The products of gradients, for the variant whose vectors and tile sizes are included before this file.
///
/// Both have the rows of their second factor as the inner dimension, so that its panels are copied, not transposed. Blocks of the inner
/// dimension lie at multiples of DSO_BLOCK_UNITS and are added in order, whatever the range of a call.
#ifndef DSO_GRADIENT_PRODUCTS_H
#define DSO_GRADIENT_PRODUCTS_H

#include "../products/blocking.h"
#include "../quantization/dequantize.h"

enum {
  GRADIENT_COLUMNS = DSO_WEIGHTS_BYTES / 4 / DSO_BLOCK_UNITS / TILE_COLUMNS * TILE_COLUMNS,
  GRADIENT_ROWS = DSO_ACTIVATIONS_BYTES / 4 / DSO_BLOCK_UNITS / TILE_ROWS * TILE_ROWS,
};

typedef struct {
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

/// Rows inner..<inner+units of the second factor, `valid` columns from `column` on, as panels [units][TILE_COLUMNS].
static void pack_second(const dso_weights *w, int64_t inner, int64_t units, int64_t column, int64_t valid, const dso_product_scratch *s) {
  if (w->storage == DSO_STORAGE_F32) {
    const uint8_t *from = dso_weight_row(w, inner) + 4 * column;
    for (int64_t j = 0; j < valid; j += TILE_COLUMNS)
      copy_panel(from + 4 * j, w->row_bytes, valid - j, units, TILE_COLUMNS, s->weights + j * units);
    return;
  }
  float *line = (float *)(void *)s->decoded;
  uint8_t *codes = s->decoded + (GRADIENT_COLUMNS + TILE_COLUMNS) * sizeof *line;
  for (int64_t u = 0; u < units; u++) {
    decode_columns(w, inner + u, column, valid, codes, line);
    for (int64_t j = 0; j < valid; j += TILE_COLUMNS)
      copy_panel((const uint8_t *)(line + j), 0, valid - j, 1, TILE_COLUMNS, s->weights + j * units + u * TILE_COLUMNS);
  }
}

static void pack_first(const gradient_product *p, int64_t inner, int64_t units, int64_t row, int64_t rows, const dso_product_scratch *s) {
  for (int64_t i = 0; i < rows; i += TILE_ROWS) {
    float *to = s->activations + i * units;
    if (p->transposed) {
      copy_panel((const uint8_t *)(p->a + inner * p->lda + row + i), 4 * p->lda, rows - i, units, TILE_ROWS, to);
    } else {
      pack_activations((const uint8_t *)(p->a + (row + i) * p->lda + inner), 4 * p->lda, dso_min_i64(TILE_ROWS, rows - i), 4 * units, to);
    }
  }
}

static void run_gradient_product(const gradient_product *p, void *scratch) {
  dso_product_scratch s = dso_cut_product_scratch(scratch);
  int64_t depth = p->w->n;
  for (int64_t column = p->column_begin; column < p->column_end; column += GRADIENT_COLUMNS) {
    int64_t valid = dso_min_i64(GRADIENT_COLUMNS, p->column_end - column);
    for (int64_t inner = 0; inner < depth; inner += DSO_BLOCK_UNITS) {
      int64_t units = dso_min_i64(DSO_BLOCK_UNITS, depth - inner);
      pack_second(p->w, inner, units, column, valid, &s);
      for (int64_t row = p->row_begin; row < p->row_end; row += GRADIENT_ROWS) {
        int64_t rows = dso_min_i64(GRADIENT_ROWS, p->row_end - row);
        pack_first(p, inner, units, row, rows, &s);
        for (int64_t j = 0; j < valid; j += TILE_COLUMNS)
          for (int64_t i = 0; i < rows; i += TILE_ROWS)
            run_panel_tile((int)dso_min_i64(TILE_ROWS, rows - i), s.activations + i * units, s.weights + j * units, units,
                           p->accumulate || inner > 0, p->c + (row + i) * p->ldc + column + j, p->ldc, valid - j);
      }
    }
  }
}

/// An inner dimension of nothing leaves no block that would write.
static void clear_product(const gradient_product *p) {
  if (p->w->n > 0 || p->accumulate) return;
  for (int64_t row = p->row_begin; row < p->row_end; row++)
    for (int64_t column = p->column_begin; column < p->column_end; column++) p->c[row * p->ldc + column] = 0;
}

void DSO_KERNEL(matmul_nn_f32)(const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end,
                               int accumulate, float *c, int64_t ldc, void *scratch) {
  gradient_product p = {a, lda, 0, 0, m, w, n_begin, n_end, accumulate, c, ldc};
  clear_product(&p);
  run_gradient_product(&p, scratch);
}

void DSO_KERNEL(matmul_tn_f32)(const float *a, int64_t lda, int64_t m_begin, int64_t m_end, const float *b, int64_t ldb, int64_t n,
                               int64_t k, int accumulate, float *c, int64_t ldc, void *scratch) {
  dso_weights w = {.storage = DSO_STORAGE_F32, .data = b, .row_bytes = 4 * ldb, .n = k, .k = n};
  gradient_product p = {a, lda, 1, m_begin, m_end, &w, 0, n, accumulate, c, ldc};
  clear_product(&p);
  run_gradient_product(&p, scratch);
}

#endif
