/// Transforms that are folded into weights before they are quantized. Every instruction set gives the same bits.
#ifndef DSO_TRANSFORMS_H
#define DSO_TRANSFORMS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The largest order of the matrix that powers of two are multiplied by.
#define DSO_HADAMARD_MAX_ORDER 256

/// The orthogonal matrix Q = diag(signs) · (H ⊕ H ⊕ …) / √size, where H = base ⊗ Sylvester is a Hadamard matrix of `size`.
typedef struct {
  int64_t size;        ///< order times a power of two
  int64_t order;       ///< 1 to DSO_HADAMARD_MAX_ORDER
  const float *base;   ///< [order, order] of ±1
  const float *signs;  ///< [n] of ±1
} dso_hadamard;

/// Every row of x [rows, n] times Q, in place. n is a multiple of the transform's size.
void dso_hadamard_rows(const dso_hadamard *q, float *x, int64_t ldx, int64_t rows, int64_t n);
/// The transpose of Q times x [n, columns], in place: every column is transformed as dso_hadamard_rows transforms a row.
void dso_hadamard_columns(const dso_hadamard *q, float *x, int64_t ldx, int64_t n, int64_t columns);

/// out[i] = q[i] * factors[i] - w[i].
void dso_scaled_difference(const float *q, const float *factors, const float *w, float *out, int64_t count);

#ifdef __cplusplus
}
#endif
#endif
