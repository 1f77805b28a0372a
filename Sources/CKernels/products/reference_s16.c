/// Products of 16-bit activations with quantized weights, portable: their definition.
#define CODE int16_t
#include "reference_codes.h"

void dso_portable_matmul_s16(const int16_t *a, int64_t lda, const float *a_scales, int64_t m, const dso_weights *w, int64_t n_begin,
                             int64_t n_end, const float *bias, float *c, int64_t ldc, void *scratch) {
  multiply_codes(a, lda, a_scales, m, w, n_begin, n_end, bias, c, ldc, dso_wide_run(w), scratch);
}

void dso_portable_matvec_s16(const int16_t *a, int64_t lda, const float *a_scales, int64_t m, const dso_weights *w, int64_t n_begin,
                             int64_t n_end, const float *bias, float *c, int64_t ldc, void *scratch) {
  dso_portable_matmul_s16(a, lda, a_scales, m, w, n_begin, n_end, bias, c, ldc, scratch);
}
