/// Rounding as something that is learned: an offset for every weight before it is rounded, and the range of every group.
#ifndef DSO_LEARNED_ROUNDING_H
#define DSO_LEARNED_ROUNDING_H

#include <stdint.h>

#include "GridSearch.h"

#ifdef __cplusplus
extern "C" {
#endif

/// A row of a weight in training. A weight is represented as scale * q with
///   scale = start_scale * factor, rounded to what it will be stored as,
///   zero  = start_zero + shift, rounded to a whole code and clamped to the codes,
///   q     = round(weight / scale + offset), clamped to -2^(bits-1) - zero ... 2^(bits-1) - 1 - zero.
typedef struct {
  int64_t count, group_size;
  int32_t bits;
  dso_scale_type type;
  const float *weights;
  float *offsets;             ///< [count], within -0.5...0.5
  float *factors;             ///< [groups]
  float *shifts;              ///< [groups]; NULL where zero points stay 0
  const float *start_scales;  ///< [groups], not 0
  const float *start_zeros;   ///< [groups]; not read without shifts
  float *scales, *zeros;      ///< [groups]: the grid in use, written by dso_learned_round
} dso_learned_row;

/// How far one step of signed gradient descent goes; `reach`: factors stay within 1 - reach ... 1 + reach.
typedef struct {
  float offset, factor, shift;
  float reach;
} dso_learned_rates;

/// Writes the grids, and with them the represented weights (unless NULL) and the codes plus 2^(bits-1) (unless NULL).
/// Returns how many weights were clamped by more than rounding. A scale that the stored type cannot hold leaves the one in use as it is.
/// Every instruction set gives the same bits.
int64_t dso_learned_round(const dso_learned_row *row, float *values, uint8_t *codes);

/// One step against `gradient`, that of the loss by the represented weights, on the grids in use. Rounding passes gradients straight
/// through, so offsets of weights that are clamped stay: d value / d offset = scale and d value / d scale = q - weight / scale inside the
/// range; d value / d scale = q and d value / d zero = -scale outside. A gradient of 0 moves nothing.
void dso_learned_update(const dso_learned_row *row, const float *gradient, dso_learned_rates rates);

/// Moves weights so that rounding them on the start's grid gives these codes (plus 2^(bits-1)): each to the nearest place that lies
/// `margin` (0 < margin <= 0.5) of a step inside its code's cell. The outermost cells have no end. In place where `weights` is row->weights.
void dso_learned_anchor(const dso_learned_row *row, const uint8_t *codes, float margin, float *weights);

/// difference = weight * (x - y), element by element; returns the sum of weight * (x - y)^2 in double, in an order that depends on the
/// count alone. `difference` may be x.
double dso_weighted_difference(const float *x, const float *y, float weight, int64_t count, float *difference);

#ifdef __cplusplus
}
#endif
#endif
