/// Products with float and bfloat16 activations.
#include "check.h"

typedef enum { MATMUL, MATVEC, BFLOAT16 } product_kind;

typedef struct {
  int64_t m, n, k, lda;
  dso_weights w;
  float *a, *bias;
  uint16_t *halves;
} product;

static product product_of(int64_t m, int64_t n, int64_t k, weight_kind kind, int biased) {
  product p = {m, n, k, k + 3, weights_of(kind, n, k), NULL, NULL, NULL};
  p.a = floats(m * p.lda, -2, 2);
  p.halves = take(m * p.lda * 2);
  for (int64_t i = 0; i < m * p.lda; i++) {
    uint32_t pattern;
    memcpy(&pattern, p.a + i, sizeof pattern);
    p.halves[i] = (uint16_t)(pattern >> 16);
  }
  if (biased) p.bias = floats(n, -2, 2);
  return p;
}

static void multiply(product_kind kind, const product *p, int64_t row, int64_t rows, int64_t begin, int64_t end, float *c, int64_t ldc) {
  void *scratch = scratch_of(dso_matmul_scratch_bytes(&p->w));
  const float *a = p->a + row * p->lda;
  switch (kind) {
    case MATMUL: dso_matmul_f32(a, p->lda, rows, &p->w, begin, end, p->bias, c + row * ldc, ldc, scratch); return;
    case MATVEC: dso_matvec_f32(a, p->lda, rows, &p->w, begin, end, p->bias, c + row * ldc, ldc, scratch); return;
    case BFLOAT16:
      dso_matmul_bf16(p->halves + row * p->lda, p->lda, rows, &p->w, begin, end, p->bias, c + row * ldc, ldc, scratch);
  }
}

/// A sum of k products in float is off by some 2^-24 * k / 8 of their magnitudes, in each of two orders; pairs of bfloat16 round by rules of
/// their own.
static double *allowances_of(product_kind kind, const product *p) {
  const float *w = dense(&p->w);
  double *to = take(p->m * p->n * 8), unit = (kind == BFLOAT16 ? 4 : 2) * 0x1p-24 * (8 + (double)p->k / 8);
  for (int64_t i = 0; i < p->m; i++)
    for (int64_t j = 0; j < p->n; j++) {
      double sum = p->bias ? fabs((double)p->bias[j]) : 0;
      for (int64_t l = 0; l < p->k; l++) sum += fabs((double)p->a[i * p->lda + l] * w[j * p->k + l]);
      to[i * p->n + j] = unit * sum + 2e-30;
    }
  return to;
}

static void shapes(product_kind kind) {
  static const int64_t others[][3] = {{1, 1, 1}, {3, 33, 129}, {15, 40, 1031}, {8, 65, 257}, {2, 17, 7}, {1, 13, 5003}};
  for (int64_t s = 0; s < BOUNDARIES + COUNT(others); s++) {
    int64_t m = s < BOUNDARIES ? boundaries[s] : others[s - BOUNDARIES][0];
    int64_t n = s < BOUNDARIES ? boundaries[BOUNDARIES - 1 - s] : others[s - BOUNDARIES][1];
    int64_t k = s < BOUNDARIES ? 65 : others[s - BOUNDARIES][2];
    for (int64_t i = 0; i < WEIGHT_KINDS; i++) {
      if ((s + i) % 4 != 0 && k < 1000) continue;
      about("%lldx%lldx%lld storage %lld", (long long)m, (long long)n, (long long)k, (long long)i);
      product p = product_of(m, n, k, weight_kinds[i], (s + i) % 3 != 0);
      float *c = blank(m * n);
      multiply(kind, &p, 0, m, 0, n, c, n);
      within("product", c, allowances_of(kind, &p), m * n);
    }
  }
}

/// Cutting rows and columns anywhere changes no bit and touches nothing else.
static void cuts(product_kind kind) {
  static const int64_t sizes[][3] = {{33, 70, 600}, {16, 129, 65}, {5, 31, 1031}, {2, 9, 5003}};
  static const int chosen[] = {0, 1, 2, 7, 8, 28, 23};
  for (int64_t s = 0; s < COUNT(sizes); s++) {
    for (int64_t i = 0; i < COUNT(chosen); i++) {
      int64_t m = sizes[s][0], n = sizes[s][1], ldc = n + 4;
      product p = product_of(m, n, sizes[s][2], weight_kinds[chosen[i]], 1);
      float *whole = blank(m * ldc), *untouched = blank(m * ldc);
      multiply(kind, &p, 0, m, 0, n, whole, ldc);
      for (int64_t r = 0; r < m; r++) agree("columns behind the last", whole + r * ldc + n, untouched, 4 * 4);
      for (int attempt = 0; attempt < 3; attempt++) {
        int64_t row = between(0, m), column = between(0, n);
        about("%lldx%lld cut at %lld, %lld", (long long)m, (long long)n, (long long)row, (long long)column);
        float *c = blank(m * ldc);
        for (int part = 0; part < 4; part++)
          multiply(kind, &p, part & 1 ? row : 0, part & 1 ? m - row : row, part & 2 ? column : 0, part & 2 ? n : column, c, ldc);
        agree("cut product", c, whole, m * ldc * 4);
      }
    }
  }
}

static void run(product_kind kind) {
  shapes(kind);
  cuts(kind);
  about("without depth");
  product p = product_of(2, 5, 0, weight_kinds[0], 1);
  float *c = blank(10);
  multiply(kind, &p, 0, 2, 0, 5, c, 5);
  same("bias", c, 40);
}

static void matmul(void) { run(MATMUL); }
static void matvec(void) { run(MATVEC); }
static void bfloat16(void) { run(BFLOAT16); }

const kernel_case product_cases[] = {
    {"dso_matmul_f32", matmul}, {"dso_matvec_f32", matvec}, {"dso_matmul_bf16", bfloat16}, {NULL, NULL}};
