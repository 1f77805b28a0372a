/// Quantization-aware training: weights that are rounded on the way into a product, and step sizes (scales) that are learned (Esser et al.
/// 2020, LSQ).
#ifndef DSO_STEP_SIZES_H
#define DSO_STEP_SIZES_H

#include <stdint.h>

#include "GridSearch.h"

#ifdef __cplusplus
extern "C" {
#endif

/// A row of a weight: represented as stored * (q), q = round(weight / stored) clamped to -2^(bits-1) - zero ... 2^(bits-1) - 1 - zero.
typedef struct {
  int64_t count, group_size;
  int32_t bits;
  dso_scale_type type;
  const float *weights;  ///< [count]
  const float *scales;   ///< [groups]: what is learned; of either sign, not 0
  const float *zeros;    ///< [groups] whole numbers; NULL for 0
  float *stored;         ///< [groups]: the scales as they are stored, written by dso_step_round
} dso_step_row;

/// Writes stored scales, and with them the represented weights and (unless NULL) the codes plus 2^(bits-1). Returns how many weights were
/// clamped by more than rounding. A scale beyond the stored type (none is NaN) is stored as the nearest that weights can be divided by. Every instruction
/// set gives the same bits.
int64_t dso_step_round(const dso_step_row *row, float *values, uint8_t *codes);

/// The gradient of the represented weights becomes that of the weights, in place: it passes straight through rounding, and is 0 for a weight
/// that is clamped. That of every scale is written to `scale_gradient` [groups]: the sum of gradient * (q - weight / scale) inside the range
/// and of gradient * q outside. For scales as dso_step_round left them. Every instruction set gives the same bits.
void dso_step_backward(const dso_step_row *row, float *gradient, float *scale_gradient);

/// Scales as they are stored: rounded to the type, never 0 and never infinite.
void dso_store_scales(const float *scales, int64_t count, dso_scale_type type, float *stored);
/// Gradients of a row's scales when its codes stay: the sum over a group of gradient * (code - 2^(bits-1) - zero). `zeros` is NULL for 0.
void dso_code_slopes(const uint8_t *codes, const float *gradient, int64_t count, int64_t group_size, int bits, const int8_t *zeros,
                     float *slopes);

#ifdef __cplusplus
}
#endif
#endif
