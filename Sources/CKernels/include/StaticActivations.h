/// Activations as int8 with a scale that was fixed beforehand, and what it takes to choose it.
#ifndef DSO_STATIC_ACTIVATIONS_H
#define DSO_STATIC_ACTIVATIONS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Symmetric int8 with one scale, > 0, for everything: q = round(x / scale), clamped to -128...127. NaN gets code -128.
/// sums as dso_quantize_rows_s8 writes them; NULL when not wanted.
/// Returns how many elements were clamped by more than rounding (NaN among them).
int64_t dso_quantize_rows_s8_fixed(const float *x, int64_t ldx, int64_t rows, int64_t k, float scale, int8_t *q, int64_t ldq,
                                   int64_t group_size, int32_t *sums);
/// y = x rounded as dso_quantize_rows_s8_fixed rounds it (code * scale). In place allowed.
void dso_fake_quantize_rows_s8_fixed(const float *x, int64_t ldx, int64_t rows, int64_t k, float scale, float *y, int64_t ldy);

/// Bins of a histogram of magnitudes: 128 in each octave from 2^-40 to 2^24. A bin is as wide as the bfloat16 numbers in it are apart, so
/// a few huge activations do not cost the many small ones their resolution, and the range never has to grow.
enum { DSO_MAGNITUDE_BINS = 64 * 128 };
/// counts[bin] += 1 for each element. What is smaller or larger than all bins (NaN too) goes to the first or the last.
void dso_count_magnitudes(const float *x, int64_t ldx, int64_t rows, int64_t columns, uint64_t *counts);
/// The sum of squared errors that int8 codes with this scale (> 0) make of values counted so, taken as spread evenly within their bins.
/// Both signs are clamped at 127. *clipped becomes the expected number of values beyond 127.5 steps.
double dso_clipping_error(const uint64_t *counts, double scale, double *clipped);

#ifdef __cplusplus
}
#endif
#endif
