/// Keys and values of a cache in int8, with a scale per token and head, and attention that reads them where they lie.
#ifndef DSO_QUANTIZED_CACHE_H
#define DSO_QUANTIZED_CACHE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Symmetric int8 per head of each row: x is [rows, heads * dim], scales [rows, heads], each with its ld.
/// scale = absmax / 127 and q = round(x / scale) within -127...127, ties to even, the division exact: so every instruction set gives the
/// same bytes, and a head's largest element comes back to within rounding. A head of zeros has scale 0.
/// A head that holds a NaN or an infinity gets the scale NaN and codes 0: what was not a number does not come back as one.
void dso_quantize_heads_s8(const float *x, int64_t ldx, int64_t rows, int64_t heads, int64_t dim, int8_t *q, int64_t ldq, float *scales,
                           int64_t ld_scales);

/// One head of the keys or values that dso_quantize_heads_s8 wrote:
/// element d of token t is (float)codes[t * ld + d] * scales[t * ld_scales].
typedef struct {
  const int8_t *codes;
  int64_t ld;
  const float *scales;
  int64_t ld_scales;
} dso_quantized_head;

/// dso_attention over quantized keys and values, without a copy of them in floats beyond one block in scratch.
/// Four or more queries give the bits of dso_attention over the dequantized keys and values; one to three (decode) multiply a token's scale
/// into its score, or its weight, instead of into every element.
/// scratch: dso_attention_s8_scratch_bytes(head_dim, v_dim), 64-byte aligned.
void dso_attention_s8(const float *q, int64_t ldq, const dso_quantized_head *k, const dso_quantized_head *v, float *out, int64_t ldo,
                      int64_t q_tokens, int64_t kv_tokens, int64_t q_offset, int64_t head_dim, int64_t v_dim, float scale,
                      int64_t window, void *scratch);
int64_t dso_attention_s8_scratch_bytes(int64_t head_dim, int64_t v_dim);

#ifdef __cplusplus
}
#endif
#endif
