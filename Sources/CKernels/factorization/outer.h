/// Products summed over rows, for the variant whose vectors are included before this file.
#ifndef DSO_OUTER_H
#define DSO_OUTER_H

#include "../products/pack.h"
#include "../products/tile.h"
#include "blocking.h"

/// LANES floats of a row of which `left` remain, the rest zero.
INLINE VF load_left(const float *from, int64_t left) {
  return left >= LANES ? vf_load(from) : left > 0 ? vf_load_n(from, left) : vf_zero();
}

/// Elements i..<end of x as panels [units][TILE_ROWS]. Writes in rising order, what reaches into the next unit is written again.
static void pack_outer_rows(const dso_outer_product *p, int64_t begin, int64_t units, int64_t i, int64_t end, float *to) {
  for (; i < end; i += TILE_ROWS, to += TILE_ROWS * units) {
    if (p->x_by_rows) {
      const uint8_t *from = (const uint8_t *)(p->x + i * p->ldx + begin);
      pack_activations(from, 4 * p->ldx, dso_min_i64(TILE_ROWS, end - i), 4 * units, to);
      continue;
    }
    for (int64_t u = 0; u < units; u++) {
      const float *from = p->x + (begin + u) * p->ldx + i;
      VF weight = vf_set(p->weights ? p->weights[begin + u] : 1.0f);
      for (int r = 0; r < TILE_ROWS; r += LANES) vf_store(to + u * TILE_ROWS + r, vf_mul(load_left(from + r, end - i - r), weight));
    }
  }
}

/// Elements j..<end of y as panels [units][TILE_COLUMNS].
static void pack_outer_columns(const dso_outer_product *p, int64_t begin, int64_t units, int64_t j, int64_t end, float *to) {
  for (; j < end; j += TILE_COLUMNS, to += TILE_COLUMNS * units) {
    for (int64_t u = 0; u < units; u++) {
      const float *from = p->y + (begin + u) * p->ldy + j;
      for (int v = 0; v < TILE_VECTORS; v++)
        vf_store(to + u * TILE_COLUMNS + v * LANES, load_left(from + v * LANES, end - j - v * LANES));
    }
  }
}

INLINE void outer_tile(int rows, const float *a, const float *b, int64_t units, float *c, int64_t ldc) {
  VF acc[TILE_ROWS][TILE_VECTORS];
  for (int r = 0; r < rows; r++) {
    for (int v = 0; v < TILE_VECTORS; v++) {
      acc[r][v] = vf_zero();
      __builtin_prefetch(c + r * ldc + v * LANES, 1);
    }
  }
  multiply_panels(UNITS_F32, rows, a, b, units, acc);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < TILE_VECTORS; v++) vf_store(c + r * ldc + v * LANES, vf_add(vf_load(c + r * ldc + v * LANES), acc[r][v]));
}

static void run_outer_tile(int rows, const float *a, const float *b, int64_t units, float *c, int64_t ldc) {
  switch (rows) { TILE_CASES(outer_tile, a, b, units, c, ldc) }
}

/// A tile that reaches over the last column, or over the diagonal, works on a copy. Row r of it has min(width, first + r) elements.
static void run_partial_outer_tile(int rows, int64_t width, int64_t first, const float *a, const float *b, int64_t units, float *c,
                                   int64_t ldc) {
  float copy[TILE_ROWS * TILE_COLUMNS] __attribute__((aligned(64))) = {0};
  for (int pass = 0; pass < 2; pass++) {
    for (int r = 0; r < rows; r++) {
      int64_t count = dso_min_i64(width, first + r);
      float *own = copy + r * TILE_COLUMNS, *at = c + r * ldc;
      if (count > 0) memcpy(pass ? at : own, pass ? own : at, (size_t)count * sizeof *own);
    }
    if (!pass) run_outer_tile(rows, a, b, units, copy, TILE_COLUMNS);
  }
}

static void run_outer_block(const dso_outer_product *p, const float *a, const float *b, int64_t units, int64_t i_begin, int64_t i_end,
                            int64_t j_begin, int64_t j_end) {
  for (int64_t j = j_begin; j < j_end; j += TILE_COLUMNS) {
    int64_t width = dso_min_i64(TILE_COLUMNS, j_end - j);
    for (int64_t i = i_begin; i < i_end; i += TILE_ROWS) {
      int rows = (int)dso_min_i64(TILE_ROWS, i_end - i);
      if (p->lower && j > i + rows - 1) continue;
      const float *row = a + (i - i_begin) * units, *column = b + (j - j_begin) * units;
      float *c = p->c + i * p->ldc + j;
      int64_t first = p->lower ? i + 1 - j : width;
      if (width == TILE_COLUMNS && first >= width) {
        run_outer_tile(rows, row, column, units, c, p->ldc);
      } else {
        run_partial_outer_tile(rows, width, first, row, column, units, c, p->ldc);
      }
    }
  }
}

void DSO_KERNEL(accumulate_outer)(const dso_outer_product *p, int64_t i_begin, int64_t i_end, int64_t j_begin, int64_t j_end,
                                  void *scratch) {
  float *rows = scratch, *columns = rows + DSO_OUTER_ROW_FLOATS;
  for (int64_t begin = 0; begin < p->depth; begin += DSO_OUTER_DEPTH) {
    int64_t units = dso_min_i64(DSO_OUTER_DEPTH, p->depth - begin);
    for (int64_t j = j_begin; j < j_end; j += DSO_OUTER_COLUMNS) {
      int64_t j_last = dso_min_i64(j_end, j + DSO_OUTER_COLUMNS);
      if (p->lower && j > i_end - 1) break;
      pack_outer_columns(p, begin, units, j, j_last, columns);
      for (int64_t i = i_begin; i < i_end; i += DSO_OUTER_ROWS) {
        int64_t i_last = dso_min_i64(i_end, i + DSO_OUTER_ROWS);
        if (p->lower && j > i_last - 1) continue;
        pack_outer_rows(p, begin, units, i, i_last, rows);
        run_outer_block(p, rows, columns, units, i, i_last, j, j_last);
      }
    }
  }
}

#endif
