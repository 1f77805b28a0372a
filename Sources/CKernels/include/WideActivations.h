/// Activations as 16-bit integers: products with quantized weights at about the speed of bfloat16 and nearly the fidelity of float.
///
/// A code q = 256 * high + low splits into two signed bytes, for |q| <= 32639 = 256 * 127 + 127: instructions that multiply bytes can take
/// the halves in turn. No product below may be given a larger code.
#ifndef DSO_WIDE_ACTIVATIONS_H
#define DSO_WIDE_ACTIVATIONS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Dynamic symmetric int16 per row: scale = absmax / 32639 (1 for an all-zero row, so that codes are 0), q = round(x / scale), within
/// -32639...32639. A NaN gets code -32639, the other codes are those of the row without it, and the row's scale is NaN, so that its products tell; with an
/// infinity in the row the scale is infinite, infinities get code -32639 and numbers 0.
void dso_quantize_rows_s16(const float *x, int64_t ldx, int64_t rows, int64_t k, int16_t *q, int64_t ldq, float *scales);

/// Prefill: int16 activations times quantized weights (any bits, with or without zero points; w->levels and w->minima must be NULL). Exact 32-bit integer
/// sums of a_q * (code - zero_point) within a chunk; each one, as a float, times its group's scale is added with one rounding (fma) in the
/// order of K, then comes the row's scale, then the bias. A chunk is a group, or where a group is longer than 512 elements (256 with zero
/// points), a piece of that length from the group's beginning on. Every instruction set gives the same bits.
/// scratch: dso_matmul_scratch_bytes, as for the other products.
void dso_matmul_s16(const int16_t *a, int64_t lda, const float *a_scales, int64_t m, const dso_weights *w, int64_t n_begin,
                    int64_t n_end, const float *bias, float *c, int64_t ldc, void *scratch);
/// The same for few rows (decode, m of 1 to 8): streams the weights once, no packing. Not bit-equal to dso_matmul_s16. Fast where groups are
/// the whole row or a multiple of 64 (16 and 32 too, with two or more of them side by side); right for every other shape.
void dso_matvec_s16(const int16_t *a, int64_t lda, const float *a_scales, int64_t m, const dso_weights *w, int64_t n_begin,
                    int64_t n_end, const float *bias, float *c, int64_t ldc, void *scratch);

/// sums[r, g] = the sum of row r's elements in group g, of group_size columns (the last may be shorter), in an order of its own: what weights
/// with minima want beside a product of their codes.
void dso_group_sums(const float *x, int64_t ldx, int64_t rows, int64_t k, int64_t group_size, float *sums, int64_t lds);

#ifdef __cplusplus
}
#endif
#endif
