/// Few rows times a matrix as it lies: its rows are streamed once, none is packed.
///
/// An element of the result is one sum in the order of the rows, each term fused, whatever the range of a call.
#ifndef DSO_STREAMED_PRODUCT_H
#define DSO_STREAMED_PRODUCT_H

enum { STREAMED_COLUMNS = 512, STREAMED_ROWS = 4 };

/// to += the sum of a[r] * rows[r].
INLINE void add_streamed_rows(int count, const float *a, const float *const *rows, float *to, int64_t columns) {
  VF factors[STREAMED_ROWS];
  for (int r = 0; r < count; r++) factors[r] = vf_set(a[r]);
  int64_t i = 0;
  for (; i + LANES <= columns; i += LANES) {
    VF sum = vf_load(to + i);
    for (int r = 0; r < count; r++) sum = vf_fma(factors[r], vf_load(rows[r] + i), sum);
    vf_store(to + i, sum);
  }
  if (i == columns) return;
  VF sum = vf_load_n(to + i, columns - i);
  for (int r = 0; r < count; r++) sum = vf_fma(factors[r], vf_load_n(rows[r] + i, columns - i), sum);
  vf_store_n(to + i, sum, columns - i);
}

void DSO_KERNEL(matvec_nn_f32)(const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end, float *c,
                               int64_t ldc) {
  float lines[STREAMED_ROWS][STREAMED_COLUMNS];
  uint8_t codes[STREAMED_COLUMNS];
  for (int64_t column = n_begin; column < n_end; column += STREAMED_COLUMNS) {
    int64_t columns = dso_min_i64(STREAMED_COLUMNS, n_end - column);
    for (int64_t i = 0; i < m; i++) memset(c + i * ldc + column, 0, (size_t)columns * sizeof *c);
    for (int64_t row = 0; row < w->n; row += STREAMED_ROWS) {
      int count = (int)dso_min_i64(STREAMED_ROWS, w->n - row);
      const float *rows[STREAMED_ROWS];
      for (int r = 0; r < count; r++) {
        rows[r] = w->storage == DSO_STORAGE_F32 ? (const float *)(const void *)(dso_weight_row(w, row + r) + 4 * column) : lines[r];
        if (w->storage != DSO_STORAGE_F32) decode_columns(w, row + r, column, columns, codes, lines[r]);
      }
      for (int64_t i = 0; i < m; i++) {
        const float *factors = a + i * lda + row;
        float *to = c + i * ldc + column;
        if (count == STREAMED_ROWS) {
          add_streamed_rows(STREAMED_ROWS, factors, rows, to, columns);
        } else {
          add_streamed_rows(count, factors, rows, to, columns);
        }
      }
    }
  }
}

#endif
