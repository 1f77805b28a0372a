/// The three products of a linear layer y = x Wᵀ in training, in bfloat16: half the bits of float, its range.
///
/// nt is the forward pass y = x Wᵀ, nn the gradient of its input dx = dy W, tn that of its weight dW = dyᵀ x (n: as it lies, t: transposed).
/// Each takes what its sibling in float takes (dso_matmul_f32, dso_matmul_nn_f32, dso_matmul_tn_f32) and the same scratch, and cuts work
/// by the same rules.
///
/// Operands are float, or weights of any storage, and are rounded to bfloat16 (to nearest, ties to even; NaN stays NaN, overflow becomes
/// infinity) while they are packed; nothing is written back. Products of two are exact in float, sums are float. All instruction sets
/// multiply the same rounded numbers and differ in the order of the sum, and with AVX-512 BF16 in this:
/// - of two products that follow each other in the summed dimension (from its beginning) the second is added first, each addition rounded
///   to nearest whatever the thread's rounding mode: what VDPBF16PS does;
/// - denormal numbers (below 2^-126) are taken for zero and come out as zero: operands, the rounding of an operand, and sums.
#ifndef DSO_TRAINING_PRODUCTS_H
#define DSO_TRAINING_PRODUCTS_H

#include "CKernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/// C[m, n_begin..<n_end] = A[m, k] * W[n, k]^T (+ bias[n], in float). Scratch: dso_matmul_scratch_bytes.
void dso_matmul_nt_bf16(const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end, const float *bias,
                        float *c, int64_t ldc, void *scratch);
/// C[m, columns n_begin..<n_end] = A[m, w->n] * W[w->n, w->k], or added to C. Scratch: dso_gradient_product_scratch_bytes.
void dso_matmul_nn_bf16(const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end, int accumulate,
                        float *c, int64_t ldc, void *scratch);
/// C[rows m_begin..<m_end, n] = A[k, m]^T * B[k, n], or added to C. Scratch: dso_gradient_product_scratch_bytes.
void dso_matmul_tn_bf16(const float *a, int64_t lda, int64_t m_begin, int64_t m_end, const float *b, int64_t ldb, int64_t n, int64_t k,
                        int accumulate, float *c, int64_t ldc, void *scratch);

#ifdef __cplusplus
}
#endif
#endif
