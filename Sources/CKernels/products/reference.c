/// Products with float activations, portable: a chunk of one weight row is decoded, then multiplied with every row of activations.
#include <string.h>

#include "../conversions/scalar.h"
#include "../dispatch/kernel_table.h"
#include "../quantization/codes.h"
#include "blocking.h"

enum { LANES = 16 };

/// Elements begin..<begin+count of a weight row as floats.
static void decode(const dso_weights *w, int64_t row, int64_t begin, int64_t count, float *out) {
  const uint8_t *data = dso_weight_row(w, row);
  switch (w->storage) {
    case DSO_STORAGE_F32: memcpy(out, data + 4 * begin, (size_t)count * sizeof *out); return;
    case DSO_STORAGE_BF16: dso_portable_convert_bf16_to_f32(data + 2 * begin, out, count); return;
    case DSO_STORAGE_F16: dso_portable_convert_f16_to_f32(data + 2 * begin, out, count); return;
    case DSO_STORAGE_QUANTIZED: break;
  }
  int64_t groups = dso_group_count(w);
  for (int64_t i = 0; i < count;) {
    int64_t g = (begin + i) / w->group_size, end = dso_min_i64(count, (g + 1) * w->group_size - begin);
    for (; i < end; i++) out[i] = dso_code_value(w, row * groups + g, dso_stored_code(data, begin + i, w->bits));
  }
}

static float sum_lanes(const float *lanes) {
  float sum = 0;
  for (int l = 0; l < LANES; l++) sum += lanes[l];
  return sum;
}

static float dot(const float *a, const float *b, int64_t count) {
  float lanes[LANES] = {0};
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES)
    for (int l = 0; l < LANES; l++) lanes[l] += a[i + l] * b[i + l];
  for (int l = 0; i < count; i++, l++) lanes[l] += a[i] * b[i];
  return sum_lanes(lanes);
}

static float dot_bf16(const uint16_t *a, const float *b, int64_t count) {
  float lanes[LANES] = {0};
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES)
    for (int l = 0; l < LANES; l++) lanes[l] += dso_f32_of_bf16(a[i + l]) * b[i + l];
  for (int l = 0; i < count; i++, l++) lanes[l] += dso_f32_of_bf16(a[i]) * b[i];
  return sum_lanes(lanes);
}

static float dot_rounded(const float *a, const float *b, int64_t count) {
  float lanes[LANES] = {0};
  for (int64_t i = 0; i < count; i++) lanes[i % LANES] += dso_f32_of_bf16(dso_bf16_of_f32(a[i])) * b[i];
  return sum_lanes(lanes);
}

/// What activations are and how they are multiplied; with bfloat16, weights are rounded.
typedef enum { FLOATS, BFLOATS, ROUNDED_FLOATS } activations;

static float dot_of(activations kind, const void *a, int64_t at, const float *b, int64_t count) {
  switch (kind) {
    case FLOATS: return dot((const float *)a + at, b, count);
    case BFLOATS: return dot_bf16((const uint16_t *)a + at, b, count);
    case ROUNDED_FLOATS: break;
  }
  return dot_rounded((const float *)a + at, b, count);
}

static void multiply(activations kind, const void *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end,
                     const float *bias, float *c, int64_t ldc, float *weights) {
  for (int64_t j = n_begin; j < n_end; j++) {
    for (int64_t i = 0; i < m; i++) c[i * ldc + j] = 0;
    for (int64_t begin = 0; begin < w->k; begin += DSO_PORTABLE_CHUNK) {
      int64_t count = dso_min_i64(DSO_PORTABLE_CHUNK, w->k - begin);
      decode(w, j, begin, count, weights);
      for (int64_t i = 0; kind != FLOATS && i < count; i++) weights[i] = dso_f32_of_bf16(dso_bf16_of_f32(weights[i]));
      for (int64_t i = 0; i < m; i++) c[i * ldc + j] += dot_of(kind, a, i * lda + begin, weights, count);
    }
    if (bias)
      for (int64_t i = 0; i < m; i++) c[i * ldc + j] += bias[j];
  }
}

void dso_portable_matmul_f32(const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end,
                             const float *bias, float *c, int64_t ldc, void *scratch) {
  multiply(FLOATS, a, lda, m, w, n_begin, n_end, bias, c, ldc, scratch);
}

void dso_portable_matvec_f32(const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end,
                             const float *bias, float *c, int64_t ldc, void *scratch) {
  multiply(FLOATS, a, lda, m, w, n_begin, n_end, bias, c, ldc, scratch);
}

void dso_portable_matmul_bf16(const uint16_t *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end,
                              const float *bias, float *c, int64_t ldc, void *scratch) {
  multiply(BFLOATS, a, lda, m, w, n_begin, n_end, bias, c, ldc, scratch);
}

void dso_portable_matmul_nt_bf16(const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end,
                                 const float *bias, float *c, int64_t ldc, void *scratch) {
  multiply(ROUNDED_FLOATS, a, lda, m, w, n_begin, n_end, bias, c, ldc, scratch);
}
