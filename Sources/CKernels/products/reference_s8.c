/// Products of 8-bit activations with quantized weights, portable.
#define CODE int8_t
#include "reference_codes.h"

void dso_portable_matmul_s8(const int8_t *a, int64_t lda, const float *a_scales, const int32_t *sums, int64_t m, const dso_weights *w,
                            int64_t n_begin, int64_t n_end, const float *bias, float *c, int64_t ldc, void *scratch) {
  (void)sums;
  multiply_codes(a, lda, a_scales, m, w, n_begin, n_end, bias, c, ldc, DSO_EXACT_RUN, scratch);
}
