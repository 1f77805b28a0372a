/// Eight-bit floats with a scale per block, as DeepSeek-V3's checkpoints have them.
#ifndef DSO_FLOAT8_H
#define DSO_FLOAT8_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// out[r, c] = E4M3(codes[r, c]) * scales[r / block_rows, c / block_columns], rows first to last of a matrix of `columns`; out starts at row `first`.
/// Codes and out are dense. E4M3 as in the OCP FP8 specification, without infinities: 0x7f and 0xff are NaN.
void dso_dequantize_e4m3_blocks(const uint8_t *codes, int64_t first, int64_t last, int64_t columns, const float *scales, int64_t ld_scales,
                                int64_t block_rows, int64_t block_columns, float *out);

#ifdef __cplusplus
}
#endif
#endif
