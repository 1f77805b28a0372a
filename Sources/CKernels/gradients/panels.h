/// Panels of matrices whose rows are the units, and tiles that are added where they belong.
#ifndef DSO_GRADIENT_PANELS_H
#define DSO_GRADIENT_PANELS_H

/// Rows of `panel` floats of which the first `width` exist: to[u * panel + i] = from[u * ld + i], the rest zero.
/// Vectors are stored whole in rising order: what is written beyond a row is written again, or lies in the area's slack.
INLINE void copy_panel(const uint8_t *from, int64_t row_bytes, int64_t width, int64_t units, int panel, float *to) {
  if (width >= panel && panel % LANES == 0) {
    for (int64_t u = 0; u < units; u++, from += row_bytes, to += panel)
      for (int i = 0; i < panel; i += LANES) vf_store(to + i, vf_load((const float *)(const void *)from + i));
    return;
  }
  if (width > panel) width = panel;
  for (int64_t u = 0; u < units; u++, from += row_bytes, to += panel) {
    for (int i = 0; i < panel; i += LANES) {
      const float *at = (const float *)(const void *)from + i;
      int64_t n = width - i;
      vf_store(to + i, n >= LANES ? vf_load(at) : n > 0 ? vf_load_n(at, n) : vf_zero());
    }
  }
}

/// acc = the product of `units` units, unit u of row r being a[r * row_step + u * unit_step], with a panel [units][TILE_COLUMNS].
INLINE void multiply_strided(unit_kind kind, int rows, const float *a, int64_t row_step, int64_t unit_step, const float *b, int64_t units,
                             VF acc[TILE_ROWS][TILE_VECTORS]) {
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < TILE_VECTORS; v++) acc[r][v] = vf_zero();
  for (int64_t u = 0; u < units; u++, a += unit_step, b += TILE_COLUMNS) {
    VF column[TILE_VECTORS];
#pragma clang loop unroll(full)
    for (int v = 0; v < TILE_VECTORS; v++) column[v] = vf_load(b + v * LANES);
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
      VF one = vf_set(a[r * row_step]);
#pragma clang loop unroll(full)
      for (int v = 0; v < TILE_VECTORS; v++) acc[r][v] = add_product(kind, acc[r][v], one, column[v]);
    }
  }
}

/// Writes or adds the tile to the first `columns` columns at c.
INLINE void place_tile(int rows, VF acc[TILE_ROWS][TILE_VECTORS], int add, float *c, int64_t ldc, int64_t columns) {
  if (columns >= TILE_COLUMNS) {
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < TILE_VECTORS; v++) {
        float *at = c + r * ldc + v * LANES;
        vf_store(at, add ? vf_add(vf_load(at), acc[r][v]) : acc[r][v]);
      }
    return;
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < TILE_VECTORS; v++) {
      float *at = c + r * ldc + v * LANES;
      int64_t n = dso_min_i64(columns - v * LANES, LANES);
      if (n > 0) vf_store_n(at, add ? vf_add(vf_load_n(at, n), acc[r][v]) : acc[r][v], n);
    }
}

INLINE void tile_of_kind(unit_kind kind, int rows, const float *a, int64_t row_step, int64_t unit_step, const float *b, int64_t units,
                         int add, float *c, int64_t ldc, int64_t columns) {
  VF acc[TILE_ROWS][TILE_VECTORS];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < TILE_VECTORS; v++) __builtin_prefetch(c + r * ldc + v * LANES, 1);
  multiply_strided(kind, rows, a, row_step, unit_step, b, units, acc);
  place_tile(rows, acc, add, c, ldc, columns);
}

INLINE void strided_tile(int rows, const float *a, int64_t row_step, int64_t unit_step, const float *b, int64_t units, int add,
                         float *c, int64_t ldc, int64_t columns) {
  tile_of_kind(UNITS_F32, rows, a, row_step, unit_step, b, units, add, c, ldc, columns);
}

/// The product of a packed panel [units][TILE_ROWS] of activations and a panel of weights.
static void run_panel_tile(int rows, const float *a, const float *b, int64_t units, int add, float *c, int64_t ldc, int64_t columns) {
  switch (rows) { TILE_CASES(strided_tile, a, 1, TILE_ROWS, b, units, add, c, ldc, columns) }
}

INLINE void paired_tile(int rows, const float *a, const float *b, int64_t units, int add, float *c, int64_t ldc, int64_t columns) {
  tile_of_kind(UNITS_BF16, rows, a, 1, TILE_ROWS, b, units, add, c, ldc, columns);
}

/// The same where units are pairs of bfloat16; where they are floats it is the same.
static void run_bfloat16_tile(int rows, const float *a, const float *b, int64_t units, int add, float *c, int64_t ldc, int64_t columns) {
#if BF16_PER_UNIT == 2
  switch (rows) { TILE_CASES(paired_tile, a, b, units, add, c, ldc, columns) }
#else
  run_panel_tile(rows, a, b, units, add, c, ldc, columns);
#endif
}

#endif
