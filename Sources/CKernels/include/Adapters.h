/// Adapters folded into weights and taken out again. Plain C in double, in one fixed order and without fused operations: every machine finds the
/// same bits, so that what one has merged another can take apart.
#ifndef DSO_ADAPTERS_H
#define DSO_ADAPTERS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// One row of an adapter's change: delta[j] = scaling * sum over r of up[r] * down[r * ldd + j], r rising.
void dso_adapter_row(const float *up, int64_t rank, const float *down, int64_t ldd, int64_t columns, float scaling, double *delta);
/// The length of base + delta.
double dso_adapted_length(const float *base, const double *delta, int64_t columns);
/// merged[j] = (base[j] + delta[j]) * factor, rounded once to float.
void dso_merge_row(const float *base, const double *delta, double factor, int64_t columns, float *merged);
/// base[j] = merged[j] / factor - delta[j], rounded once to float: what dso_merge_row was given, but for what rounding has lost.
void dso_unmerge_row(const float *merged, const double *delta, double factor, int64_t columns, float *base);

/// Where two rows of elements of 1, 2, 4 or 8 bytes differ, bit by bit: the columns, rising. Returns how many; `columns` holds `count`.
int64_t dso_differing_columns(const void *a, const void *b, int64_t count, int64_t element_bytes, int32_t *columns);

#ifdef __cplusplus
}
#endif
#endif
