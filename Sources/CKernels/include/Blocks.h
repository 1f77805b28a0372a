/// GGUF's block types: between their bytes and codes with parts, and the search for the parts.
///
/// A row of k weights is cut into blocks of 32 or 256. Of a row there are
/// - codes, unsigned as they are stored, code i in bits i*bits..<(i+1)*bits of a little-endian stream;
/// - `scales`, float16 by their bits, one per block, and `minima` likewise where the type has any;
/// - of blocks of 256 ("nested"), which have groups of 16 or 32, integers per group: `scale_codes` and, where there are minima, `minimum_codes`;
/// - of MXFP4, instead of all these, one exponent per block.
///
/// What a group's codes stand for, each operation rounded in float (`dso_block_grids` gives scale and minimum, both exact):
///     weight = u * scale + minimum        types with minima
///     weight = (u - 2^(bits-1)) * scale   symmetric types
///     weight = levels[u] * scale          types with levels
/// nested: scale = d * scale_code, minimum = -(dmin * minimum_code).
#ifndef DSO_BLOCKS_H
#define DSO_BLOCKS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// By the numbers that GGUF gives them.
typedef enum {
  DSO_BLOCKS_Q4_0 = 2,
  DSO_BLOCKS_Q4_1 = 3,
  DSO_BLOCKS_Q5_0 = 6,
  DSO_BLOCKS_Q5_1 = 7,
  DSO_BLOCKS_Q8_0 = 8,
  DSO_BLOCKS_Q2_K = 10,
  DSO_BLOCKS_Q3_K = 11,
  DSO_BLOCKS_Q4_K = 12,
  DSO_BLOCKS_Q5_K = 13,
  DSO_BLOCKS_Q6_K = 14,
  DSO_BLOCKS_IQ4_NL = 20,
  DSO_BLOCKS_MXFP4 = 39,
} dso_block_type;

typedef struct {
  int32_t bits;          ///< per code
  int32_t block;         ///< weights in a block
  int32_t group;         ///< weights that share a scale; the whole block where it is not nested
  int32_t bytes;         ///< of a block
  int32_t minima;        ///< whether there are any
  int32_t nested;        ///< whether scales are d * scale_code
  int32_t scale_lowest, scale_highest;  ///< of scale codes, nested only; minimum codes are 0...scale_highest
  const float *levels;   ///< [2^bits] by code; NULL where codes are evenly spaced
} dso_block_format;

/// NULL when the type is none of these.
const dso_block_format *dso_block_format_of(dso_block_type type);

/// The parts of one row, or of many rows after each other. What a type has not is not looked at and may be NULL.
typedef struct {
  uint16_t *scales;        ///< [k / block] float16; all but MXFP4
  uint16_t *minima;        ///< [k / block] float16
  int8_t *scale_codes;     ///< [k / group]
  uint8_t *minimum_codes;  ///< [k / group]
  uint8_t *exponents;      ///< [k / block]; MXFP4: scale = 2^(exponent - 127)
} dso_block_parts;

/// A row of k weights, k a multiple of the block, as GGUF has it: k / block blocks, at any alignment. words: k * bits / 32.
/// Exact inverses of each other, whatever the bytes are.
void dso_encode_blocks(dso_block_type type, int64_t k, const uint32_t *words, dso_block_parts parts, uint8_t *blocks);
void dso_decode_blocks(dso_block_type type, int64_t k, const uint8_t *blocks, uint32_t *words, dso_block_parts parts);

/// What the parts stand for: scale and, where the type has minima, minimum of every group, [k / group] each. They are as finite as the
/// file's numbers are; an exponent of 255 is not a number.
void dso_block_grids(dso_block_type type, int64_t k, dso_block_parts parts, float *scales, float *minima);

typedef struct {
  dso_block_type type;
  /// Only what the extremes of each group say, without a search.
  int32_t plain;
  /// Weigh the errors by importance * sqrt(2 * mean of squares over the row + weight^2), as dso_imatrix_importance does, instead of by
  /// importance alone.
  int32_t by_magnitude;
} dso_block_search;

/// Bytes of scratch, 64-byte aligned.
int64_t dso_block_search_scratch_bytes(int64_t k);

/// Rows of k weights, k a multiple of the block, to codes and parts with a small sum of importance * (weight - represented weight)^2: never
/// more than what `plain` finds. words: [rows, k * bits / 32]; parts: of all rows.
///
/// importance: per column, or NULL. Below 2^-20 of the row's largest, or not a number, counts as that much; 1 everywhere when none is above 0.
/// Returns how many weights are not finite: they count as 0, and the caller will want to refuse.
/// Weights beyond what the parts can say (65504 times the highest codes) are clamped to it.
/// Blocks do not depend on each other, except by the mean of squares, and every instruction set gives the same bits. They are searched 16 at
/// a time, over the ends of rows: calls with fewer cost as much.
int64_t dso_quantize_blocks(const dso_block_search *search, const float *x, int64_t ldx, int64_t rows, int64_t k, const float *importance,
                            uint32_t *words, dso_block_parts parts, void *scratch);

#ifdef __cplusplus
}
#endif
#endif
