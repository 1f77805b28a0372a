/// The products of gradients, portable: one row of the second factor at a time.
#include <string.h>

#include "../conversions/scalar.h"
#include "../dispatch/kernel_table.h"
#include "../quantization/codes.h"

enum { COLUMNS = 1024 };

static float weight_at(const dso_weights *w, int64_t row, int64_t column) {
  const uint8_t *data = dso_weight_row(w, row);
  float value = 0;
  switch (w->storage) {
    case DSO_STORAGE_F32: memcpy(&value, data + 4 * column, sizeof value); return value;
    case DSO_STORAGE_BF16: dso_portable_convert_bf16_to_f32(data + 2 * column, &value, 1); return value;
    case DSO_STORAGE_F16: dso_portable_convert_f16_to_f32(data + 2 * column, &value, 1); return value;
    case DSO_STORAGE_QUANTIZED: break;
  }
  return dso_code_value(w, row * dso_group_count(w) + column / w->group_size, dso_stored_code(data, column, w->bits));
}

static float rounded(float x) { return dso_f32_of_bf16(dso_bf16_of_f32(x)); }

/// Rows row_begin..<row_end of the result; element (row, inner) of the first factor is a[row * row_step + inner * inner_step].
/// Both factors are rounded to bfloat16 when `rounding`.
static void multiply(int rounding, const float *a, int64_t row_step, int64_t inner_step, int64_t row_begin, int64_t row_end,
                     const dso_weights *w, int64_t begin, int64_t end, int accumulate, float *c, int64_t ldc, float *line) {
  for (int64_t i = row_begin; i < row_end && !accumulate; i++)
    for (int64_t j = begin; j < end; j++) c[i * ldc + j] = 0;
  for (int64_t column = begin; column < end; column += COLUMNS) {
    int64_t count = dso_min_i64(COLUMNS, end - column);
    for (int64_t u = 0; u < w->n; u++) {
      for (int64_t j = 0; j < count; j++) {
        float weight = weight_at(w, u, column + j);
        line[j] = rounding ? rounded(weight) : weight;
      }
      for (int64_t i = row_begin; i < row_end; i++) {
        float one = a[i * row_step + u * inner_step], *to = c + i * ldc + column;
        if (rounding) one = rounded(one);
        for (int64_t j = 0; j < count; j++) to[j] += one * line[j];
      }
    }
  }
}

static void multiply_transposed(int rounding, const float *a, int64_t lda, int64_t m_begin, int64_t m_end, const float *b, int64_t ldb,
                                int64_t n, int64_t k, int accumulate, float *c, int64_t ldc, float *line) {
  dso_weights w = {.storage = DSO_STORAGE_F32, .data = b, .row_bytes = 4 * ldb, .n = k, .k = n};
  multiply(rounding, a, 1, lda, m_begin, m_end, &w, 0, n, accumulate, c, ldc, line);
}

void dso_portable_matmul_nn_f32(const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end,
                                int accumulate, float *c, int64_t ldc, void *scratch) {
  multiply(0, a, lda, 1, 0, m, w, n_begin, n_end, accumulate, c, ldc, scratch);
}

void dso_portable_matvec_nn_f32(const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end, float *c,
                                int64_t ldc) {
  float line[COLUMNS];
  multiply(0, a, lda, 1, 0, m, w, n_begin, n_end, 0, c, ldc, line);
}

void dso_portable_matmul_nn_bf16(const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end,
                                 int accumulate, float *c, int64_t ldc, void *scratch) {
  multiply(1, a, lda, 1, 0, m, w, n_begin, n_end, accumulate, c, ldc, scratch);
}

void dso_portable_matmul_tn_f32(const float *a, int64_t lda, int64_t m_begin, int64_t m_end, const float *b, int64_t ldb, int64_t n,
                                int64_t k, int accumulate, float *c, int64_t ldc, void *scratch) {
  multiply_transposed(0, a, lda, m_begin, m_end, b, ldb, n, k, accumulate, c, ldc, scratch);
}

void dso_portable_matmul_tn_bf16(const float *a, int64_t lda, int64_t m_begin, int64_t m_end, const float *b, int64_t ldb, int64_t n,
                                 int64_t k, int accumulate, float *c, int64_t ldc, void *scratch) {
  multiply_transposed(1, a, lda, m_begin, m_end, b, ldb, n, k, accumulate, c, ldc, scratch);
}
