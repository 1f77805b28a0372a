/// Products of 16-bit activations, and weights that are rounded to the nearest codes row by row.
#include "check.h"

enum { MOST = 32639 };

static int16_t *wide_codes(int64_t count) {
  int16_t *to = take(count * 2);
  for (int64_t i = 0; i < count; i++) to[i] = (int16_t)(any() % 16 == 0 ? (any() & 1 ? MOST : -MOST) : between(-MOST, MOST));
  return to;
}

static void product(int matvec, int64_t m, int64_t n, int64_t k, int bits, int64_t group, int zeros) {
  about("%lldx%lldx%lld bits %d group %lld zeros %d", (long long)m, (long long)n, (long long)k, bits, (long long)group, zeros);
  dso_weights w = weights_of((weight_kind){.storage = DSO_STORAGE_QUANTIZED, .bits = bits, .group = group, .zeros = zeros}, n, k);
  int64_t lda = k + 3, ldc = n + 2;
  const int16_t *a = wide_codes(m * lda - 3);
  const float *scales = floats(m, 1e-5f, 1e-4f), *bias = m % 2 ? floats(n, -2, 2) : NULL, *values = dense(&w);
  float *c = blank(m * ldc), *cut = blank(m * ldc);
  void *scratch = scratch_of(dso_matmul_scratch_bytes(&w));
  (matvec ? dso_matvec_s16 : dso_matmul_s16)(a, lda, scales, m, &w, 0, n, bias, c, ldc, scratch);
  if (matvec) {
    double *allowances = take(m * ldc * 8);
    for (int64_t at = 0; at < m * ldc; at++) {
      double sum = at % ldc < n && bias ? fabs((double)bias[at % ldc]) : 0;
      for (int64_t l = 0; l < k && at % ldc < n; l++)
        sum += fabs((double)a[at / ldc * lda + l] * (double)values[at % ldc * k + l]) * (double)scales[at / ldc];
      allowances[at] = 2 * 0x1p-24 * (double)(k / (group < 256 ? group : 256) + 8) * sum + 1e-30;
    }
    within("product", c, allowances, m * ldc);
  } else {
    same("product", c, m * ldc * 4);
  }
  int64_t row = between(0, m), column = between(0, n);
  for (int part = 0; part < 4; part++) {
    int64_t first = part & 1 ? row : 0, rows = part & 1 ? m - row : row;
    (matvec ? dso_matvec_s16 : dso_matmul_s16)(a + first * lda, lda, scales + first, rows, &w, part & 2 ? column : 0,
                                               part & 2 ? n : column, bias, cut + first * ldc, ldc, scratch);
  }
  agree("cut product", cut, c, m * ldc * 4);
}

static void products(int matvec) {
  for (int bits = 2; bits <= 8; bits++) {
    int64_t high = matvec ? bits : 15;
    product(matvec, high, 33, 256, bits, 64, 0);
    product(matvec, matvec ? 1 : 7, 65, 127, bits, 32, 1);
    product(matvec, matvec ? 3 : 17, 31, 129, bits, 30, 1);
    product(matvec, 3, 16, 65, bits, 65, bits % 2);
    product(matvec, 2, 19, 1300, bits, 1300, bits % 2 == 0);
    product(matvec, 5, 14, 700, bits, 16, bits % 2);
  }
  for (int64_t i = 0; i < BOUNDARIES; i++) product(matvec, i % 8 + 1, boundaries[i], boundaries[BOUNDARIES - 1 - i], 4, 128, i % 2 == 0);
  product(matvec, matvec ? 8 : 29, 70, 2500, 8, 600, 1);
  // One row by itself, and two that are cut into such, go through whole pieces of one step and through long ones.
  for (int64_t m = 1; matvec && m <= 2; m++) {
    for (int zeros = 0; zeros <= 1; zeros++) {
      product(matvec, m, 21, 2176, 4, 128, zeros);
      product(matvec, m, 9, 1800, 4, 256, zeros);
      product(matvec, m, 11, 3001, 4, 3001, zeros);
      product(matvec, m, 13, 4800, 8, 4800, zeros);
      product(matvec, m, 10, 1000, 8, 128, zeros);
    }
  }
}

static void matmul(void) { products(0); }
static void matvec(void) { products(1); }

static void quantize_rows(void) {
  for (int64_t i = 0; i < BOUNDARIES; i++) {
    for (int way = 0; way < 4; way++) {
      enum { ROWS = 3 };
      int64_t k = boundaries[i], ld = k + 2, ldq = k + 1;
      float *x = floats(ROWS * ld - 2, -9, 9), *scales = blank(ROWS);
      for (int64_t j = 0; j < k && way == 1; j++) x[ld + j] = 0;
      if (way > 1) x[ld + k / 2] = way == 2 ? NAN : -INFINITY;
      int16_t *q = take((ROWS * ldq - 1) * 2);
      memset(q, 0x55, (size_t)(ROWS * ldq - 1) * 2);
      about("%lld, %d", (long long)k, way);
      dso_quantize_rows_s16(x, ld, ROWS, k, q, ldq, scales);
      same("codes", q, (ROWS * ldq - 1) * 2);
      same("scales", scales, ROWS * 4);
    }
  }
}

static void round_rows(void) {
  static const int64_t widths[] = {1, 15, 16, 17, 31, 32, 33, 128, 200};
  for (int bits = 2; bits <= 8; bits++) {
    for (int64_t i = 0; i < COUNT(widths) * 12; i++) {
      enum { ROWS = 3 };
      int64_t k = widths[i / 12], variant = i % 4, group = k > 64 ? 64 : k, groups = ROWS * ((k + group - 1) / group);
      dso_weights w = weights_of((weight_kind){.storage = (dso_storage)(i / 4 % 3), .group = k}, ROWS, k);
      dso_nearest_grid grid = {.bits = bits, .symmetric = variant < 3, .rule = (dso_scale_rule)(variant < 3 ? variant : 0),
                               .type = (dso_scale_type)(i % 3), .group_size = group};
      int64_t size = ROWS * ((k * bits + 31) / 32) * 4;
      uint32_t *words = take(size);
      float *scales = blank(groups);
      int8_t *points = take(groups);
      memset(points, 99, (size_t)groups);
      about("%d bits, k %lld, variant %lld", bits, (long long)k, (long long)i);
      dso_nearest_counts counts = dso_round_rows_to_nearest(w.data, (int)w.storage, w.row_bytes, ROWS, k, &grid, words, scales,
                                                            grid.symmetric ? NULL : points, scratch_of(dso_nearest_scratch_bytes(k)));
      same("codes", words, size);
      same("scales", scales, groups * 4);
      same("points", points, groups);
      same("clamped", &counts.clamped, sizeof counts.clamped);
      same("not finite", &counts.nonfinite, sizeof counts.nonfinite);
    }
  }
}

static void weight_error(void) {
  for (int bits = 2; bits <= 8; bits++) {
    for (int64_t i = 0; i < BOUNDARIES * 3; i++) {
      int64_t k = boundaries[i / 3] * (bits == 5 ? 9 : 1);
      dso_weights w = weights_of((weight_kind){.storage = (dso_storage)(i % 3), .group = k}, 2, k);
      dso_weights codes = weights_of((weight_kind){.storage = DSO_STORAGE_QUANTIZED, .bits = bits, .group = 32, .zeros = bits % 2}, 2, k);
      double signal = -1, noise = -1;
      about("%d bits, k %lld", bits, (long long)k);
      dso_weight_error(&w, &codes, 1, &signal, &noise);
      close_number("signal", signal, 2e-5, 0);
      close_number("noise", noise, 2e-5, 0);
    }
  }
}

const kernel_case wide_cases[] = {{"dso_matmul_s16", matmul},
                                  {"dso_matvec_s16", matvec},
                                  {"dso_quantize_rows_s16", quantize_rows},
                                  {"dso_round_rows_to_nearest", round_rows},
                                  {"dso_weight_error", weight_error},
                                  {NULL, NULL}};
