/// What calibration keeps of the columns of activations.
#ifndef DSO_STATISTICS_H
#define DSO_STATISTICS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Adds `rows` rows of x to running statistics of each column: the largest magnitude, the sum of magnitudes, the sum of squares.
/// Any of the three may be NULL.
void dso_column_statistics(const float *x, int64_t ldx, int64_t rows, int64_t columns, float *absmax, double *abs_sum,
                           double *square_sum);

/// Draws an index from the distribution of a row of logits: the first at which the sum of probabilities exceeds `unit`, in [0, 1).
int64_t dso_sample_logits(const float *row, double log_sum_exp, int64_t count, double unit);
/// The places of the `kept` largest of `count` numbers (kept <= count, none of them NaN), rising; of equal ones the first.
void dso_largest_indices(const float *row, int64_t count, int64_t kept, uint32_t *ids);

/// Sum of products, in double: eight running sums, then these.
double dso_inner_product(const float *x, const float *y, int64_t count);

/// Sum of magnitudes, in double.
double dso_sum_magnitudes(const float *x, int64_t count);

/// How many are below `low` or above `high`; NaN is neither.
int64_t dso_count_outside(const float *x, int64_t count, float low, float high);

/// How many of `count` words of `width` bytes, 2, 4 or 8, have all of these bits set: as an exponent that stands for no number has. They may lie
/// at any address.
int64_t dso_count_with_bits(const void *values, int64_t count, int width, uint64_t bits);

/// x -= y.
void dso_subtract(float *x, const float *y, int64_t count);

#ifdef __cplusplus
}
#endif
#endif
