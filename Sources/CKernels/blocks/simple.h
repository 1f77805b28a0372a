/// Blocks of 32 that have their own float16 numbers, between bytes and codes, one to a byte.
#ifndef DSO_BLOCKS_SIMPLE_H
#define DSO_BLOCKS_SIMPLE_H

/// Low nibbles are the first half of what they hold, high ones the second.
INLINE void split_nibbles(const uint8_t *restrict from, uint8_t *restrict codes, int half) {
  for (int i = 0; i < half; i++) {
    codes[i] = from[i] & 15;
    codes[half + i] = from[i] >> 4;
  }
}

INLINE void join_nibbles(const uint8_t *restrict codes, uint8_t *restrict to, int half) {
  for (int i = 0; i < half; i++) to[i] = (uint8_t)((codes[i] & 15) | codes[half + i] << 4);
}

/// The fifth bits of 32 codes, by weight.
INLINE void split_fifths(const uint8_t *restrict from, uint8_t *restrict codes) {
  uint32_t bits;
  memcpy(&bits, from, sizeof bits);
  for (int i = 0; i < 32; i++) codes[i] |= (uint8_t)((bits >> i & 1) << 4);
}

INLINE void join_fifths(const uint8_t *restrict codes, uint8_t *restrict to) {
  uint32_t bits = 0;
  for (int i = 0; i < 32; i++) bits |= (uint32_t)(codes[i] >> 4 & 1) << i;
  memcpy(to, &bits, sizeof bits);
}

/// What lies where in a block: the float16 numbers or the exponent, then fifth bits, then nibbles.
typedef struct {
  int bytes, minima, exponent, fifths;
} simple_layout;

INLINE void split_simple(simple_layout layout, const uint8_t *from, uint8_t *codes, dso_block_parts parts, int64_t b) {
  if (layout.exponent) {
    parts.exponents[b] = *from++;
  } else {
    memcpy(parts.scales + b, from, 2);
    from += 2;
  }
  if (layout.minima) {
    memcpy(parts.minima + b, from, 2);
    from += 2;
  }
  split_nibbles(layout.fifths ? from + 4 : from, codes, 16);
  if (layout.fifths) split_fifths(from, codes);
}

INLINE void join_simple(simple_layout layout, const uint8_t *codes, dso_block_parts parts, int64_t b, uint8_t *to) {
  if (layout.exponent) {
    *to++ = parts.exponents[b];
  } else {
    memcpy(to, parts.scales + b, 2);
    to += 2;
  }
  if (layout.minima) {
    memcpy(to, parts.minima + b, 2);
    to += 2;
  }
  if (layout.fifths) {
    join_fifths(codes, to);
    to += 4;
  }
  join_nibbles(codes, to, 16);
}

/// Blocks whose codes are packed in one go.
enum { BLOCKS_AT_ONCE = 16 };

INLINE void decode_simple(simple_layout layout, int bits, int64_t count, const uint8_t *blocks, uint32_t *words, dso_block_parts parts) {
  uint8_t codes[32 * BLOCKS_AT_ONCE];
  for (int64_t b = 0; b < count; b += BLOCKS_AT_ONCE) {
    int64_t some = dso_min_i64(BLOCKS_AT_ONCE, count - b);
    for (int64_t i = 0; i < some; i++) split_simple(layout, blocks + (b + i) * layout.bytes, codes + 32 * i, parts, b + i);
    DSO_KERNEL(pack_codes)(codes, 32 * some, bits, words + b * bits);
  }
}

INLINE void encode_simple(simple_layout layout, int bits, int64_t count, const uint32_t *words, dso_block_parts parts, uint8_t *blocks) {
  uint8_t codes[32 * BLOCKS_AT_ONCE];
  for (int64_t b = 0; b < count; b += BLOCKS_AT_ONCE) {
    int64_t some = dso_min_i64(BLOCKS_AT_ONCE, count - b);
    DSO_KERNEL(unpack_codes)(words + b * bits, 32 * some, bits, codes);
    for (int64_t i = 0; i < some; i++) join_simple(layout, codes + 32 * i, parts, b + i, blocks + (b + i) * layout.bytes);
  }
}

/// Bytes with the highest bit exchanged: signed there, unsigned here.
INLINE void exchange_32(const uint8_t *restrict from, uint8_t *restrict to) {
  for (int i = 0; i < 32; i++) to[i] = from[i] ^ 0x80;
}

INLINE void decode_q8_0(int64_t count, const uint8_t *blocks, uint32_t *words, dso_block_parts parts) {
  for (int64_t b = 0; b < count; b++, blocks += 34) {
    memcpy(parts.scales + b, blocks, 2);
    exchange_32(blocks + 2, (uint8_t *)(words + 8 * b));
  }
}

INLINE void encode_q8_0(int64_t count, const uint32_t *words, dso_block_parts parts, uint8_t *blocks) {
  for (int64_t b = 0; b < count; b++, blocks += 34) {
    memcpy(blocks, parts.scales + b, 2);
    exchange_32((const uint8_t *)(words + 8 * b), blocks + 2);
  }
}

#endif
