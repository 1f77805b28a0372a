/// Four-bit floats, E2M1 (OCP Microscaling Formats 1.0), under E4M3 scales: NVFP4.
#ifndef DSO_FLOAT4_H
#define DSO_FLOAT4_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  /// What the E4M3 scales of groups are divided by: 448 * 6 / the largest magnitude of the whole weight.
  float divisor;
  /// Only the scale that puts the largest magnitude of a group at 6, without a search.
  int32_t plain;
} dso_nvfp4_search;

/// One row of k weights, k a multiple of 16, to a code per byte and an E4M3 scale per 16: weight = E2M1(code) * (E4M3(scale) / divisor).
/// Codes are to nearest, ties to even, and keep the sign of what becomes 0. Of the scales around the plain one that with the least sum of
/// importance * (weight - represented weight)^2 is taken: never more than `plain` leaves.
/// importance: per weight, none negative; NULL for 1 everywhere. Weights must be finite. Every machine gives the same bits.
void dso_quantize_nvfp4_row(const dso_nvfp4_search *search, const float *x, const float *importance, int64_t k, uint8_t *codes,
                            uint8_t *scales);

#ifdef __cplusplus
}
#endif
#endif
