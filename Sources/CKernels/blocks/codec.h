/// Between GGUF's bytes and codes with parts, for the variant whose vectors are included before this file: plain loops over bytes, which
/// compilers turn into its vectors.
#ifndef DSO_BLOCKS_CODEC_H
#define DSO_BLOCKS_CODEC_H

#include "../quantization/codes.h"
#include "nested.h"

static const simple_layout layout_q4_0 = {18, 0, 0, 0}, layout_q4_1 = {20, 1, 0, 0}, layout_q5_0 = {22, 0, 0, 1},
                           layout_q5_1 = {24, 1, 0, 1}, layout_mxfp4 = {17, 0, 1, 0};

/// Every block of 256 by one of the functions above.
#define DECODE_NESTED(bits, bytes, split)                                        \
  for (int64_t b = 0; b < k / 256; b++) {                                        \
    split;                                                                       \
    DSO_KERNEL(pack_codes)(codes, 256, bits, words + b * 8 * (bits));            \
    blocks += (bytes);                                                           \
  }                                                                              \
  break
#define ENCODE_NESTED(bits, bytes, join)                                         \
  for (int64_t b = 0; b < k / 256; b++) {                                        \
    DSO_KERNEL(unpack_codes)(words + b * 8 * (bits), 256, bits, codes);          \
    join;                                                                        \
    blocks += (bytes);                                                           \
  }                                                                              \
  break

void DSO_KERNEL(decode_blocks)(dso_block_type type, int64_t k, const uint8_t *blocks, uint32_t *words, dso_block_parts parts) {
  uint8_t codes[256];
  switch (type) {
    case DSO_BLOCKS_Q8_0: decode_q8_0(k / 32, blocks, words, parts); break;
    case DSO_BLOCKS_Q4_0:
    case DSO_BLOCKS_IQ4_NL: decode_simple(layout_q4_0, 4, k / 32, blocks, words, parts); break;
    case DSO_BLOCKS_Q4_1: decode_simple(layout_q4_1, 4, k / 32, blocks, words, parts); break;
    case DSO_BLOCKS_Q5_0: decode_simple(layout_q5_0, 5, k / 32, blocks, words, parts); break;
    case DSO_BLOCKS_Q5_1: decode_simple(layout_q5_1, 5, k / 32, blocks, words, parts); break;
    case DSO_BLOCKS_MXFP4: decode_simple(layout_mxfp4, 4, k / 32, blocks, words, parts); break;
    case DSO_BLOCKS_Q2_K: DECODE_NESTED(2, 84, split_q2_k(blocks, codes, parts, b));
    case DSO_BLOCKS_Q3_K: DECODE_NESTED(3, 110, split_q3_k(blocks, codes, parts, b));
    case DSO_BLOCKS_Q4_K: DECODE_NESTED(4, 144, split_q45_k(0, blocks, codes, parts, b));
    case DSO_BLOCKS_Q5_K: DECODE_NESTED(5, 176, split_q45_k(1, blocks, codes, parts, b));
    case DSO_BLOCKS_Q6_K: DECODE_NESTED(6, 210, split_q6_k(blocks, codes, parts, b));
  }
}

void DSO_KERNEL(encode_blocks)(dso_block_type type, int64_t k, const uint32_t *words, dso_block_parts parts, uint8_t *blocks) {
  uint8_t codes[256];
  switch (type) {
    case DSO_BLOCKS_Q8_0: encode_q8_0(k / 32, words, parts, blocks); break;
    case DSO_BLOCKS_Q4_0:
    case DSO_BLOCKS_IQ4_NL: encode_simple(layout_q4_0, 4, k / 32, words, parts, blocks); break;
    case DSO_BLOCKS_Q4_1: encode_simple(layout_q4_1, 4, k / 32, words, parts, blocks); break;
    case DSO_BLOCKS_Q5_0: encode_simple(layout_q5_0, 5, k / 32, words, parts, blocks); break;
    case DSO_BLOCKS_Q5_1: encode_simple(layout_q5_1, 5, k / 32, words, parts, blocks); break;
    case DSO_BLOCKS_MXFP4: encode_simple(layout_mxfp4, 4, k / 32, words, parts, blocks); break;
    case DSO_BLOCKS_Q2_K: ENCODE_NESTED(2, 84, join_q2_k(codes, parts, b, blocks));
    case DSO_BLOCKS_Q3_K: ENCODE_NESTED(3, 110, join_q3_k(codes, parts, b, blocks));
    case DSO_BLOCKS_Q4_K: ENCODE_NESTED(4, 144, join_q45_k(0, codes, parts, b, blocks));
    case DSO_BLOCKS_Q5_K: ENCODE_NESTED(5, 176, join_q45_k(1, codes, parts, b, blocks));
    case DSO_BLOCKS_Q6_K: ENCODE_NESTED(6, 210, join_q6_k(codes, parts, b, blocks));
  }
}

#undef DECODE_NESTED
#undef ENCODE_NESTED

#endif
