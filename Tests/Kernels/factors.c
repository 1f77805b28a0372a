/// Gram matrices and triangular factors.
#include "check.h"

static void outer(void) {
  static const int64_t sizes[][3] = {{1, 1, 1}, {13, 31, 5}, {14, 32, 256}, {29, 33, 257}, {65, 129, 40}, {200, 250, 70}, {7, 8, 0},
                                   {8, 9, 15},  {15, 16, 17}, {16, 15, 33}};
  for (int64_t i = 0; i < COUNT(sizes); i++) {
    for (int way = 0; way < 4; way++) {
      int64_t rows = sizes[i][0], columns = sizes[i][1], depth = sizes[i][2], ldc = columns + 1, ldy = columns + 2;
      int by_rows = way & 1, lower = way >> 1, weighted = !by_rows && i % 2 == 0;
      int64_t ldx = by_rows ? depth + 3 : rows + 1, x_rows = by_rows ? rows : depth;
      about("%lldx%lldx%lld by rows %d lower %d", (long long)rows, (long long)columns, (long long)depth, by_rows, lower);
      const float *x = floats(x_rows > 0 ? x_rows * ldx - (by_rows ? 3 : 1) : 0, -2, 2), *y = floats(depth > 0 ? depth * ldy - 2 : 0, -2, 2);
      const float *weights = weighted ? floats(depth, 0, 1) : NULL;
      float *c = floats(rows * ldc, -2, 2), *cut = copy_of(c, rows * ldc * 4);
      dso_outer_product p = {x, ldx, by_rows, y, ldy, depth, weights, c, ldc, lower};
      void *scratch = scratch_of(dso_outer_scratch_bytes());
      dso_accumulate_outer(&p, 0, rows, 0, columns, scratch);
      close_to("sums", c, rows * ldc, 2e-5, 2e-5 * (double)(depth + 1));
      p.c = cut;
      int64_t row = rows / 3, column = columns / 2;
      for (int part = 0; part < 4; part++)
        dso_accumulate_outer(&p, part & 1 ? row : 0, part & 1 ? rows : row, part & 2 ? column : 0, part & 2 ? columns : column, scratch);
      agree("cut sums", cut, c, rows * ldc * 4);
    }
  }
}

/// H = MᵀDM of a random factor, factored again: the block by what has no variants, the panel beside it by the kernel.
static void panel(void) {
  static const int64_t sizes[] = {1, 5, 64, 129, 200};
  for (int64_t s = 0; s < COUNT(sizes); s++) {
    int64_t n = sizes[s], columns = 77, ld = columns + n;
    double *m = take(n * ld * 8), *d = take(n * 8);
    float *a = take(n * ld * 4), *transposed = take(n * n * 4), *pivots = take(n * 4);
    about("%lld", (long long)n);
    for (int64_t i = 0; i < n; i++) {
      d[i] = (double)number(0.5f, 4);
      for (int64_t j = 0; j < ld; j++)
        m[i * ld + j] = j < columns + i ? (double)number(-1, 1) / sqrt((double)n) : j == columns + i ? 1 : 0;
    }
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = 0; j < ld; j++) {
        double sum = 0;
        for (int64_t t = 0; t < n && j <= columns + i; t++) sum += m[t * ld + columns + i] * d[t] * m[t * ld + j];
        a[i * ld + j] = j <= columns + i ? (float)sum : -5;
      }
    expect(dso_factor_block(a + columns, ld, n, transposed, pivots, take(8 * n * n)) == -1, "the block has no factor");
    float *cut = copy_of(a, n * ld * 4);
    dso_solve_panel(a, ld, n, transposed, pivots, 0, columns);
    close_to("panel", a, n * ld, 2e-4, 2e-4);
    dso_solve_panel(cut, ld, n, transposed, pivots, 0, 33);
    dso_solve_panel(cut, ld, n, transposed, pivots, 33, columns);
    agree("cut panel", cut, a, n * ld * 4);
  }
}

const kernel_case factor_cases[] = {{"dso_accumulate_outer", outer}, {"dso_solve_panel", panel}, {NULL, NULL}};
