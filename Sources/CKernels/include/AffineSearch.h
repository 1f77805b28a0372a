/// The search for the scale and minimum of groups of weights, both real numbers, as MLX has them.
#ifndef DSO_AFFINE_SEARCH_H
#define DSO_AFFINE_SEARCH_H

#include <stdint.h>

#include "GridSearch.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  int32_t bits;  ///< per code, 2..8
  /// Only what the extremes of each group say, without a search.
  int32_t plain;
  /// Weigh the errors by importance * sqrt(2 * mean of squares over the row + weight^2), as dso_imatrix_importance does, instead of by
  /// importance alone.
  int32_t by_magnitude;
  dso_scale_type type;  ///< that scales and minima are stored as
  int64_t group;        ///< weights that share a scale, above 0; the last group of a row is shorter where that does not divide k
} dso_affine_search;

/// Bytes of scratch, 64-byte aligned.
int64_t dso_affine_search_scratch_bytes(int64_t rows, int64_t k, int64_t group);

/// Rows of k weights to codes u, scales and minima with a small sum of importance * (weight - represented weight)^2, a represented weight
/// being u * scale + minimum, the product rounded before the sum. Scales and minima are values of the type before they are judged. Scales may
/// be negative: then the minimum is the largest.
///
/// Never more than what `plain` finds, which is the better of two rules: from the smallest weight to the largest, and MLX's, whose extreme
/// of the larger magnitude is exact and whose zero is a code.
///
/// words: [rows, ceil(k * bits / 32)]; scales, minima: [rows, groups]. importance: as in dso_quantize_blocks.
/// Returns how many weights are not finite: they count as 0, and the caller will want to refuse.
/// Groups do not depend on each other, except by the mean of squares, and every instruction set gives the same bits.
int64_t dso_quantize_affine(const dso_affine_search *search, const float *x, int64_t ldx, int64_t rows, int64_t k, const float *importance,
                            uint32_t *words, float *scales, float *minima, void *scratch);

#ifdef __cplusplus
}
#endif
#endif
