/// Products of codes and the rounding of activations to them: every set gives the same bits.
#include "check.h"

typedef struct {
  int64_t m, n, k;
  int bits;
  int64_t group;
  int zeros;
} code_product;

static int32_t *sums_of(const int8_t *codes, int64_t ld, const code_product *p) {
  int64_t groups = (p->k + p->group - 1) / p->group;
  int32_t *to = take(p->m * groups * 4);
  for (int64_t i = 0; i < p->m * groups; i++) {
    to[i] = 0;
    for (int64_t l = i % groups * p->group; l < p->k && l < (i % groups + 1) * p->group; l++) to[i] += codes[i / groups * ld + l];
  }
  return to;
}

static void check(code_product p, int biased) {
  about("%lldx%lldx%lld bits %d group %lld zeros %d", (long long)p.m, (long long)p.n, (long long)p.k, p.bits, (long long)p.group, p.zeros);
  dso_weights w = weights_of((weight_kind){.storage = DSO_STORAGE_QUANTIZED, .bits = p.bits, .group = p.group, .zeros = p.zeros}, p.n, p.k);
  int64_t lda = p.k + 5, ldc = p.n + 3, groups = (p.k + p.group - 1) / p.group;
  int8_t *codes = bytes(p.m * lda - 5);
  float *scales = floats(p.m, 0.001f, 0.1f), *bias = biased ? floats(p.n, -2, 2) : NULL, *c = blank(p.m * ldc);
  int32_t *sums = sums_of(codes, lda, &p);
  void *scratch = scratch_of(dso_matmul_scratch_bytes(&w));
  dso_matmul_s8(codes, lda, scales, sums, p.m, &w, 0, p.n, bias, c, ldc, scratch);
  same("product", c, p.m * ldc * 4);
  float *cut = blank(p.m * ldc);
  int64_t row = between(0, p.m), column = between(0, p.n);
  for (int part = 0; part < 4; part++) {
    int64_t first = part & 1 ? row : 0, rows = part & 1 ? p.m - row : row;
    dso_matmul_s8(codes + first * lda, lda, scales + first, part & 2 ? sums + first * groups : NULL, rows, &w, part & 2 ? column : 0,
                  part & 2 ? p.n : column, bias, cut + first * ldc, ldc, scratch);
  }
  agree("cut product", cut, c, p.m * ldc * 4);
}

static void matmul(void) {
  static const code_product others[] = {
      {29, 70, 2500, 8, 2500, 1}, {14, 40, 4097, 8, 4097, 0}, {14, 40, 2176, 4, 128, 0}, {2, 5, 9000, 8, 4500, 1},
      {1, 2, 70000, 8, 70000, 1}, {64, 63, 7, 3, 2, 1},       {9, 30, 1024, 4, 1024, 0}, {33, 270, 64, 8, 16, 1},
  };
  for (int bits = 2; bits <= 8; bits++) {
    check((code_product){15, 33, 256, bits, 64, 0}, 1);
    check((code_product){7, 65, 127, bits, 32, 1}, 0);
    check((code_product){17, 31, 129, bits, 30, 1}, 1);
    check((code_product){3, 16, 65, bits, 65, bits % 2}, 0);
  }
  for (int64_t i = 0; i < COUNT(others); i++) check(others[i], i % 2 == 0);
  for (int64_t i = 0; i < BOUNDARIES; i++)
    for (int64_t k = 1; k <= 41; k += 5) check((code_product){boundaries[i] % 20 + 1, boundaries[i], k, 8 - (int)(k % 7), k, k % 2 == 0}, 0);
  for (int64_t m = 1; m <= 17; m++) check((code_product){m, 50 - m, 72, 4, m % 3 ? 24 : 9, m % 2 == 0}, 1);
}

/// The largest magnitudes there are: nothing may saturate or overflow.
static void extremes(void) {
  enum { K = 4096, N = 17, M = 3 };
  float *ones = floats(N, 1, 1), *c = blank(M * N);
  for (int bits = 2; bits <= 8; bits += 2) {
    for (int way = 0; way < 4; way++) {
      int8_t *codes = take(M * K), *data = take(N * ((K * bits + 7) / 8));
      memset(codes, way & 1 ? 127 : -128, M * K);
      memset(data, way & 2 ? 0xff : 0, (size_t)(N * ((K * bits + 7) / 8)));
      dso_weights w = {DSO_STORAGE_QUANTIZED, bits, data, (K * bits + 7) / 8, N, K, K, ones, NULL, NULL, NULL};
      about("extremes of %d bits, %d", bits, way);
      dso_matmul_s8(codes, K, ones, NULL, M, &w, 0, N, NULL, c, N, scratch_of(dso_matmul_scratch_bytes(&w)));
      double exact = (way & 1 ? 127.0 : -128.0) * ((way & 2 ? (1 << bits) - 1 : 0) - (1 << (bits - 1))) * (double)K;
      for (int i = 0; i < M * N; i++) expect(c[i] == (float)exact, "an extreme product");
      same("product", c, M * N * 4);
    }
  }
}

static void products(void) {
  matmul();
  extremes();
}

/// Rows with zeros, ties and denormals; infinities and NaN only where a scale is given.
static float *odd_rows(int64_t rows, int64_t k, int64_t ld, int special) {
  static const float odd[] = {0.03125f, 0.09375f, -0.03125f, 7.96875f, 8, -8.03125f, -8.0625f, INFINITY, -INFINITY, NAN};
  float *x = floats(rows * ld, -9, 9);
  for (int64_t i = 0; i < 10 && special; i++) x[(i * 5) % k + i % rows * ld] = odd[i];
  for (int64_t i = 0; i < k && !special; i++) x[ld + i] = 0;
  if (k > 2 && !special) x[2 * ld + 1] = 127.5f, x[2 * ld + 2] = -0x1p-130f;
  return x;
}

static void quantize(int fixed, int fake) {
  enum { ROWS = 3 };
  for (int64_t b = 0; b < BOUNDARIES; b++) {
    int64_t k = boundaries[b], ld = k + 2, ldq = k + 1;
    for (int64_t group = 1; group <= k; group = group * 5 + 1) {
      int64_t groups = (k + group - 1) / group;
      about("%lld by %lld", (long long)k, (long long)group);
      const float *x = odd_rows(ROWS, k, ld, fixed);
      int8_t *codes = take(ROWS * ldq);
      memset(codes, 99, (size_t)(ROWS * ldq));
      float *scales = blank(ROWS), *values = blank(ROWS * ldq);
      int32_t *sums = take(ROWS * groups * 4);
      memset(sums, 99, (size_t)(ROWS * groups * 4));
      int64_t clamped = 0;
      if (fake) {
        if (fixed) dso_fake_quantize_rows_s8_fixed(x, ld, ROWS, k, 0.0625f, values, ldq);
        else dso_fake_quantize_rows_s8(x, ld, ROWS, k, values, ldq);
      } else if (fixed) {
        clamped = dso_quantize_rows_s8_fixed(x, ld, ROWS, k, 0.0625f, codes, ldq, group, group % 2 ? sums : NULL);
      } else {
        dso_quantize_rows_s8(x, ld, ROWS, k, codes, ldq, scales, group, group % 2 ? sums : NULL);
      }
      same("codes", codes, ROWS * ldq);
      same("scales", scales, ROWS * 4);
      same("values", values, ROWS * ldq * 4);
      same("sums", sums, ROWS * groups * 4);
      same("clamped", &clamped, 8);
    }
  }
}

static void rows(void) { quantize(0, 0); }
static void fixed(void) { quantize(1, 0); }
static void fake(void) { quantize(0, 1); }
static void fake_fixed(void) { quantize(1, 1); }

const kernel_case code_cases[] = {{"dso_matmul_s8", products},
                                  {"dso_quantize_rows_s8", rows},
                                  {"dso_quantize_rows_s8_fixed", fixed},
                                  {"dso_fake_quantize_rows_s8", fake},
                                  {"dso_fake_quantize_rows_s8_fixed", fake_fixed},
                                  {NULL, NULL}};
