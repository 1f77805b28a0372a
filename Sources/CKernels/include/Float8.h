/// Eight-bit floats, E4M3 as in the OCP FP8 specification, without infinities: 0x7f and 0xff are NaN.
#ifndef DSO_FLOAT8_H
#define DSO_FLOAT8_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// out[r, c] = E4M3(codes[r, c]) * scales[r / block_rows, c / block_columns], rows first to last of a matrix of `columns`; out starts at row `first`.
/// Codes and out are dense, and lie as DeepSeek-V3's checkpoints have them.
void dso_dequantize_e4m3_blocks(const uint8_t *codes, int64_t first, int64_t last, int64_t columns, const float *scales, int64_t ld_scales,
                                int64_t block_rows, int64_t block_columns, float *out);

/// codes[i] = E4M3(x[i] / scale), to nearest, ties to even; beyond 448, 448. Only what is NaN becomes NaN. Every machine gives the same bits.
void dso_round_to_e4m3(const float *x, int64_t count, float scale, uint8_t *codes);

/// Rows of activations to the values that codes with a scale per `group` of them (the last may be shorter) stand for, the scale being the
/// largest magnitude / 448: y = E4M3(x / scale) * scale. Zeros stay. y may be x. Every machine gives the same bits.
void dso_fake_quantize_rows_e4m3(const float *x, int64_t ldx, int64_t rows, int64_t k, int64_t group, float *y, int64_t ldy);

/// How many of the codes are NaN.
int64_t dso_count_e4m3_nan(const uint8_t *codes, int64_t count);

#ifdef __cplusplus
}
#endif
#endif
