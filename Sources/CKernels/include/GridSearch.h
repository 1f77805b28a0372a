/// The search for the scale and zero point of a group of weights.
#ifndef DSO_GRID_SEARCH_H
#define DSO_GRID_SEARCH_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// What scales are stored as. Every scale is rounded to it (to nearest, ties to even) before it is judged.
typedef enum { DSO_SCALE_F32 = 0, DSO_SCALE_F16 = 1, DSO_SCALE_BF16 = 2 } dso_scale_type;

/// A grid of a group: weight = (code - zero_point) * scale. error: what the kernel that found it made small.
typedef struct {
  float scale;
  int32_t zero_point;
  double error;
} dso_grid;

/// Bytes of scratch (64-byte aligned) that the searches below need for a group of that many weights.
int64_t dso_grid_scratch_bytes(int64_t count);

/// The grid of `bits` (2..8) bits with the smallest error found, error = sum of importance * (weight - represented weight)^2.
/// importance may be NULL for 1 everywhere; what is not above 0 in it counts as 0, and if nothing is above 0, all count as 1.
/// Symmetric: the zero point is 0 and the scale may be negative, so that the one code more on the negative side serves either side.
/// Asymmetric: the scale is positive, the zero point within -2^(bits-1)...2^(bits-1)-1.
/// Never worse than the scales that follow from the extremes: signed absmax, half range, restricted (symmetric) or the whole range
/// (asymmetric). A group of zeros, or too small for the scale's type, gives scale 1 and zero point 0; so do weights that are not finite.
/// Every instruction set gives the same bits.
dso_grid dso_search_grid(const float *w, const float *importance, int64_t count, int bits, int symmetric, dso_scale_type type,
                         void *scratch);

/// The exponent of the norm below 1 and the schedule of a half-quadratic solver: beta, multiplied by growth after each iteration.
typedef struct {
  float exponent;  ///< 0 < p <= 1
  float beta;
  float growth;
  int32_t iterations;
} dso_half_quadratic;

/// From a start, alternates between a sparse error (shrinkage for the p-norm, in steps of the grid) and the scale that fits the rest;
/// asymmetric, for the start's zero point and its neighbours. error = sum of |weight - represented weight|^p, never above the start's.
/// A start that is not finite or has scale 0 comes back as it is. Every instruction set gives the same bits.
dso_grid dso_half_quadratic_grid(const float *w, int64_t count, int bits, int symmetric, dso_scale_type type, dso_half_quadratic solver,
                                 dso_grid start, void *scratch);

/// Sum of importance * (weight - represented weight)^2 in double, for codes as dso_quantize_group finds them. importance as above.
double dso_grid_error(const float *w, const float *importance, int64_t count, int bits, float scale, int zero_point);

/// out = importance * sqrt(2 * mean(w^2) + w^2); importance may be NULL for 1 everywhere.
void dso_imatrix_importance(const float *w, const float *importance, int64_t count, float *out);

#ifdef __cplusplus
}
#endif
#endif
