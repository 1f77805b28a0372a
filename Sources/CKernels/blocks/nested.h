/// Blocks of 256, between bytes and codes, one to a byte.
#ifndef DSO_BLOCKS_NESTED_H
#define DSO_BLOCKS_NESTED_H

#include "simple.h"

/// Two bits of every code, from bit 0 on: each half of the weights has 32 bytes, whose pairs of bits are its quarters.
INLINE void split_pairs(const uint8_t *restrict from, uint8_t *restrict codes) {
  for (int half = 0; half < 2; half++) {
    for (int quarter = 0; quarter < 4; quarter++) {
      for (int i = 0; i < 32; i++) codes[128 * half + 32 * quarter + i] = from[32 * half + i] >> (2 * quarter) & 3;
    }
  }
}

INLINE void join_pairs(const uint8_t *restrict codes, uint8_t *restrict to) {
  for (int half = 0; half < 2; half++) {
    const uint8_t *of = codes + 128 * half;
    for (int i = 0; i < 32; i++)
      to[32 * half + i] = (uint8_t)((of[i] & 3) | (of[32 + i] & 3) << 2 | (of[64 + i] & 3) << 4 | (of[96 + i] & 3) << 6);
  }
}

/// One bit of every code: bit j of byte i is that of weight 32j + i.
INLINE void split_bits(const uint8_t *restrict from, uint8_t *restrict codes, int at) {
  for (int j = 0; j < 8; j++)
    for (int i = 0; i < 32; i++) codes[32 * j + i] |= (uint8_t)((from[i] >> j & 1) << at);
}

INLINE void join_bits(const uint8_t *restrict codes, uint8_t *restrict to, int at) {
  for (int i = 0; i < 32; i++) to[i] = 0;
  for (int j = 0; j < 8; j++)
    for (int i = 0; i < 32; i++) to[i] |= (uint8_t)((codes[32 * j + i] >> at & 1) << j);
}

/// Eight scale codes and eight minimum codes of six bits in twelve bytes, four bytes side by side: the first four of each in the low six
/// bits of eight bytes, whose upper bits go to the last four.
INLINE void split_sixes(const uint8_t *from, int8_t *scales, uint8_t *minima) {
  uint32_t in[3], first = 0x3f3f3f3f, low = 0x0f0f0f0f, high = 0x30303030;
  memcpy(in, from, sizeof in);
  uint32_t s[2] = {in[0] & first, (in[2] & low) | (in[0] >> 2 & high)}, m[2] = {in[1] & first, (in[2] >> 4 & low) | (in[1] >> 2 & high)};
  memcpy(scales, s, sizeof s);
  memcpy(minima, m, sizeof m);
}

INLINE void join_sixes(const int8_t *scales, const uint8_t *minima, uint8_t *to) {
  uint32_t s[2], m[2], first = 0x3f3f3f3f, low = 0x0f0f0f0f, high = 0x30303030;
  memcpy(s, scales, sizeof s);
  memcpy(m, minima, sizeof m);
  uint32_t out[3] = {(s[0] & first) | (s[1] & high) << 2, (m[0] & first) | (m[1] & high) << 2, (s[1] & low) | (m[1] & low) << 4};
  memcpy(to, out, sizeof out);
}

/// Sixteen scale codes of six bits, 32 too high: eight bytes of low nibbles, then four of pairs of upper bits.
INLINE void split_signed_sixes(const uint8_t *from, int8_t *scales) {
  for (int g = 0; g < 16; g++) {
    int low = from[g & 7] >> (g & 8 ? 4 : 0) & 15, high = from[8 + (g & 3)] >> (g >> 2 << 1) & 3;
    scales[g] = (int8_t)((low | high << 4) - 32);
  }
}

INLINE void join_signed_sixes(const int8_t *scales, uint8_t *to) {
  for (int i = 0; i < 12; i++) to[i] = 0;
  for (int g = 0; g < 16; g++) {
    int code = scales[g] + 32;
    to[g & 7] |= (uint8_t)((code & 15) << (g & 8 ? 4 : 0));
    to[8 + (g & 3)] |= (uint8_t)((code >> 4 & 3) << (g >> 2 << 1));
  }
}

INLINE void split_q2_k(const uint8_t *from, uint8_t *codes, dso_block_parts parts, int64_t b) {
  for (int g = 0; g < 16; g++) {
    parts.scale_codes[16 * b + g] = from[g] & 15;
    parts.minimum_codes[16 * b + g] = from[g] >> 4;
  }
  split_pairs(from + 16, codes);
  memcpy(parts.scales + b, from + 80, 2);
  memcpy(parts.minima + b, from + 82, 2);
}

INLINE void join_q2_k(const uint8_t *codes, dso_block_parts parts, int64_t b, uint8_t *to) {
  for (int g = 0; g < 16; g++) to[g] = (uint8_t)((parts.scale_codes[16 * b + g] & 15) | parts.minimum_codes[16 * b + g] << 4);
  join_pairs(codes, to + 16);
  memcpy(to + 80, parts.scales + b, 2);
  memcpy(to + 82, parts.minima + b, 2);
}

INLINE void split_q3_k(const uint8_t *from, uint8_t *codes, dso_block_parts parts, int64_t b) {
  split_pairs(from + 32, codes);
  split_bits(from, codes, 2);
  split_signed_sixes(from + 96, parts.scale_codes + 16 * b);
  memcpy(parts.scales + b, from + 108, 2);
}

INLINE void join_q3_k(const uint8_t *codes, dso_block_parts parts, int64_t b, uint8_t *to) {
  join_bits(codes, to, 2);
  join_pairs(codes, to + 32);
  join_signed_sixes(parts.scale_codes + 16 * b, to + 96);
  memcpy(to + 108, parts.scales + b, 2);
}

/// Q4_K, and Q5_K, which has a fifth bit.
INLINE void split_q45_k(int fifths, const uint8_t *from, uint8_t *codes, dso_block_parts parts, int64_t b) {
  memcpy(parts.scales + b, from, 2);
  memcpy(parts.minima + b, from + 2, 2);
  split_sixes(from + 4, parts.scale_codes + 8 * b, parts.minimum_codes + 8 * b);
  for (int i = 0; i < 4; i++) split_nibbles(from + (fifths ? 48 : 16) + 32 * i, codes + 64 * i, 32);
  if (fifths) split_bits(from + 16, codes, 4);
}

INLINE void join_q45_k(int fifths, const uint8_t *codes, dso_block_parts parts, int64_t b, uint8_t *to) {
  memcpy(to, parts.scales + b, 2);
  memcpy(to + 2, parts.minima + b, 2);
  join_sixes(parts.scale_codes + 8 * b, parts.minimum_codes + 8 * b, to + 4);
  if (fifths) join_bits(codes, to + 16, 4);
  for (int i = 0; i < 4; i++) join_nibbles(codes + 64 * i, to + (fifths ? 48 : 16) + 32 * i, 32);
}

INLINE void split_q6_k(const uint8_t *restrict from, uint8_t *restrict codes, dso_block_parts parts, int64_t b) {
  for (int half = 0; half < 2; half++) {
    const uint8_t *low = from + 64 * half, *high = from + 128 + 32 * half;
    uint8_t *of = codes + 128 * half;
    for (int i = 0; i < 32; i++) {
      of[i] = (low[i] & 15) | (uint8_t)((high[i] & 3) << 4);
      of[32 + i] = (low[32 + i] & 15) | (uint8_t)((high[i] >> 2 & 3) << 4);
      of[64 + i] = low[i] >> 4 | (uint8_t)((high[i] >> 4 & 3) << 4);
      of[96 + i] = low[32 + i] >> 4 | (uint8_t)((high[i] >> 6 & 3) << 4);
    }
  }
  memcpy(parts.scale_codes + 16 * b, from + 192, 16);
  memcpy(parts.scales + b, from + 208, 2);
}

INLINE void join_q6_k(const uint8_t *restrict codes, dso_block_parts parts, int64_t b, uint8_t *restrict to) {
  for (int half = 0; half < 2; half++) {
    const uint8_t *of = codes + 128 * half;
    uint8_t *low = to + 64 * half, *high = to + 128 + 32 * half;
    for (int i = 0; i < 32; i++) {
      low[i] = (uint8_t)((of[i] & 15) | of[64 + i] << 4);
      low[32 + i] = (uint8_t)((of[32 + i] & 15) | of[96 + i] << 4);
      high[i] = (uint8_t)((of[i] >> 4 & 3) | (of[32 + i] >> 4 & 3) << 2 | (of[64 + i] >> 4 & 3) << 4 | (of[96 + i] >> 4 & 3) << 6);
    }
  }
  memcpy(to + 192, parts.scale_codes + 16 * b, 16);
  memcpy(to + 208, parts.scales + b, 2);
}

#endif
