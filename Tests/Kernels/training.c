/// The products of training, in float and in bfloat16.
#include "check.h"

typedef enum { NT, NN, TN, NN_STREAMED } order;

typedef struct {
  order order;
  int rounded;  ///< bfloat16
  int64_t m, n, k, lda, ldb;
  const float *a, *b, *bias;
  int accumulate;
} training_product;

static dso_weights second_of(const training_product *p) {
  dso_weights w = {.storage = DSO_STORAGE_F32, .data = p->b, .row_bytes = 4 * p->ldb, .n = p->order == NT ? p->n : p->k,
                   .k = p->order == NT ? p->k : p->n};
  w.group_size = w.k;
  return w;
}

/// Rows row..<row + rows and columns begin..<end; tn takes rows only.
static void multiply(const training_product *p, const dso_weights *w, int64_t row, int64_t rows, int64_t begin, int64_t end, float *c,
                     int64_t ldc) {
  int64_t need = dso_gradient_product_scratch_bytes(), other = dso_matmul_scratch_bytes(w);
  void *scratch = scratch_of(need > other ? need : other);
  const float *a = p->a + row * p->lda;
  float *to = c + row * ldc;
  switch (p->order) {
    case NT: dso_matmul_nt_bf16(a, p->lda, rows, w, begin, end, p->bias, to, ldc, scratch); return;
    case NN: (p->rounded ? dso_matmul_nn_bf16 : dso_matmul_nn_f32)(a, p->lda, rows, w, begin, end, p->accumulate, to, ldc, scratch); return;
    case NN_STREAMED: dso_matvec_nn_f32(a, p->lda, rows, w, begin, end, to, ldc); return;
    case TN:
      (p->rounded ? dso_matmul_tn_bf16 : dso_matmul_tn_f32)(p->a, p->lda, row, row + rows, p->b, p->ldb, p->n, p->k, p->accumulate, c,
                                                           ldc, scratch);
  }
}

/// Magnitudes of 1 to 2, every third halfway between two numbers of bfloat16: sums of products of rounded ones are exact in any order.
static float *exact_numbers(int64_t count) {
  float *to = floats(count, 1, 2);
  for (int64_t i = 0; i < count; i++) {
    if (i % 3 == 0) to[i] = (float)(int)(to[i] * 128) / 128 + 0x1p-8f;
    if (any() & 1) to[i] = -to[i];
  }
  return to;
}

static float *rounded_numbers(int64_t count) {
  float *to = exact_numbers(count);
  for (int64_t i = 0; i < count; i++) to[i] = (float)(int)(to[i] * 128) / 128;
  return to;
}

static void check(order order, int rounded, int exact, int64_t m, int64_t n, int64_t k, int accumulate) {
  about("%lldx%lldx%lld accumulate %d exact %d", (long long)m, (long long)n, (long long)k, accumulate, exact);
  training_product p = {order, rounded, m, n, k, (order == TN ? m : k) + 2, (order == NT ? k : n) + 1, NULL, NULL, NULL, accumulate};
  int64_t high = order == TN ? k : m, deep = order == NT ? n : k, ldc = n + 3;
  // Nothing behind the last row.
  int64_t a_count = high > 0 ? high * p.lda - 2 : 0, b_count = deep > 0 ? deep * p.ldb - 1 : 0;
  p.a = exact ? exact_numbers(a_count) : floats(a_count, -2, 2);
  p.b = exact ? exact_numbers(b_count) : floats(b_count, -2, 2);
  if (order == NT) p.bias = rounded_numbers(n);
  dso_weights w = second_of(&p);
  float *start = rounded_numbers(m * ldc), *c = copy_of(start, m * ldc * 4), *cut = copy_of(start, m * ldc * 4);
  multiply(&p, &w, 0, m, 0, n, c, ldc);
  if (exact) same("product", c, m * ldc * 4);
  else close_to("product", c, m * ldc, 0, 2 * (double)(k + 2) * 4 * 0x1p-23);
  int64_t row = m / 3, column = order == TN ? 0 : n / 3;
  multiply(&p, &w, 0, row, column, n, cut, ldc);
  multiply(&p, &w, row, m - row, column, n, cut, ldc);
  if (column > 0) multiply(&p, &w, 0, m, 0, column, cut, ldc);
  agree("cut product", cut, c, m * ldc * 4);
}

static void run(order order, int rounded) {
  static const int64_t sizes[][3] = {{1, 1, 1},     {3, 5, 2},     {14, 32, 256}, {29, 33, 257}, {17, 70, 511}, {5, 31, 513},
                                     {260, 40, 31}, {5, 530, 33},  {13, 17, 1031}, {350, 3, 7},  {15, 16, 0},   {9, 25, 64},
                                     {7, 15, 16},   {8, 31, 17},  {9, 63, 15},   {4, 65, 63}};
  for (int64_t i = 0; i < COUNT(sizes); i++)
    for (int accumulate = 0; accumulate < (order == NT || order == NN_STREAMED ? 1 : 2); accumulate++)
      for (int exact = rounded ? 1 : 0; exact >= 0; exact--)
        check(order, rounded, exact, sizes[i][0], sizes[i][1], sizes[i][2], accumulate);
}

/// Weights of every storage.
static void storages(order order, int rounded) {
  enum { M = 17, N = 75, K = 301 };
  for (int64_t i = 0; i < WEIGHT_KINDS; i++) {
    dso_weights w = weights_of(weight_kinds[i], N, K);
    int64_t depth = order == NT ? K : N, width = order == NT ? N : K;
    about("storage %lld", (long long)i);
    training_product p = {order, rounded, M, width, depth, depth, 0, floats(M * depth, -2, 2), NULL, NULL, 0};
    float *c = blank(M * width);
    multiply(&p, &w, 0, M, 0, width, c, width);
    float most = 0, *values = dense(&w);
    for (int64_t j = 0; j < N * K; j++) most = fabsf(values[j]) > most ? fabsf(values[j]) : most;
    close_to("product", c, M * width, 0, 2 * (double)(depth + 2) * 2 * most * 0x1p-23);
  }
}

static void both(order order, int rounded) {
  run(order, rounded);
  storages(order, rounded);
}

static void nn(void) { both(NN, 0); }
static void nn_streamed(void) { both(NN_STREAMED, 0); }
static void tn(void) { run(TN, 0); }
static void nt_bf16(void) { both(NT, 1); }
static void nn_bf16(void) { both(NN, 1); }
static void tn_bf16(void) { run(TN, 1); }

const kernel_case training_cases[] = {{"dso_matmul_nn_f32", nn},          {"dso_matvec_nn_f32", nn_streamed}, {"dso_matmul_tn_f32", tn},
                                      {"dso_matmul_nt_bf16", nt_bf16},    {"dso_matmul_nn_bf16", nn_bf16},    {"dso_matmul_tn_bf16", tn_bf16},
                                      {NULL, NULL}};
