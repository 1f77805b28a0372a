/// Codes into a table of levels: formats whose levels are not evenly spaced.
#ifndef DSO_CODE_LEVELS_H
#define DSO_CODE_LEVELS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// One group to the codes of the nearest levels, as they are stored, one to a byte, for a scale that is the largest magnitude of the group
/// (0 for a group of zeros); returns that scale. weight = levels[code] * scale.
///
/// levels: [2^bits], bits 1 to 8, ascending from -1 to 1. All arithmetic is in float and rounds to nearest: a weight is multiplied by the
/// reciprocal of the scale (of 1e-38 for a smaller one) and goes to the lower level when it is no greater than half the sum of two
/// neighbours. So codes and scale are those of bitsandbytes for a whole block (its quantize_4bit on a processor).
/// Weights must be finite.
float dso_quantize_absmax_levels(const float *x, int64_t count, const float *levels, int bits, uint8_t *codes);

#ifdef __cplusplus
}
#endif
#endif
