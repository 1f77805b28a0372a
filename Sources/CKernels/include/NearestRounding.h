/// Round-to-nearest quantization of whole rows: scales from each group's extremes, codes, packing, in one pass over the weights.
#ifndef DSO_NEAREST_ROUNDING_H
#define DSO_NEAREST_ROUNDING_H

#include <stdint.h>

#include "GridSearch.h"

#ifdef __cplusplus
extern "C" {
#endif

/// How the scale of a symmetric group follows from its weights.
typedef enum {
  DSO_RULE_SIGNED_ABSMAX = 0,  ///< the weight of largest magnitude takes code -2^(bits-1): the scale carries its sign
  DSO_RULE_HALF_RANGE = 1,     ///< absmax / (2^bits - 1) * 2
  DSO_RULE_RESTRICTED = 2,     ///< absmax / (2^(bits-1) - 1)
} dso_scale_rule;

typedef struct {
  int32_t bits;        ///< 2..8
  int32_t symmetric;   ///< otherwise the whole range, 0 included, with a zero point
  dso_scale_rule rule; ///< of symmetric groups
  dso_scale_type type; ///< what scales are rounded to before codes are found
  int64_t group_size;  ///< k for one scale per row
} dso_nearest_grid;

typedef struct {
  int64_t clamped;    ///< as dso_quantize_group counts
  int64_t nonfinite;  ///< weights that are NaN or infinite: codes and scales of their groups are of no use
} dso_nearest_counts;

/// Rows of weights to codes. weights: `rows` rows of k elements of a float storage, row_bytes apart, at any alignment.
/// words: [rows, ceil(k*bits/32)] as dso_pack_codes writes them; scales: [rows, groups], never 0 (a group of zeros, or one too small for the
/// scale's type, gets 1); zero_points: the same shape, NULL when symmetric.
/// scratch: dso_nearest_scratch_bytes(k). Every instruction set gives the same bits.
dso_nearest_counts dso_round_rows_to_nearest(const void *weights, int storage, int64_t row_bytes, int64_t rows, int64_t k,
                                             const dso_nearest_grid *grid, uint32_t *words, float *scales, int8_t *zero_points,
                                             void *scratch);
int64_t dso_nearest_scratch_bytes(int64_t k);

#ifdef __cplusplus
}
#endif
#endif
