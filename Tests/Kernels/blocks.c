/// GGUF's block types: the same bits in every set, and blocks that come back as they were.
#include "check.h"

static const dso_block_type types[] = {DSO_BLOCKS_Q4_0, DSO_BLOCKS_Q4_1, DSO_BLOCKS_Q5_0, DSO_BLOCKS_Q5_1, DSO_BLOCKS_Q8_0, DSO_BLOCKS_Q2_K,
                                       DSO_BLOCKS_Q3_K, DSO_BLOCKS_Q4_K, DSO_BLOCKS_Q5_K, DSO_BLOCKS_Q6_K, DSO_BLOCKS_IQ4_NL, DSO_BLOCKS_MXFP4};

/// Only what the type has; the rest must not be looked at.
static dso_block_parts parts_of(dso_block_type type, int64_t k) {
  const dso_block_format *f = dso_block_format_of(type);
  int power = type == DSO_BLOCKS_MXFP4;
  dso_block_parts parts = {0};
  if (!power) parts.scales = take(k / f->block * 2);
  if (f->minima) parts.minima = take(k / f->block * 2);
  if (f->nested) parts.scale_codes = take(k / f->group);
  if (f->nested && f->minima) parts.minimum_codes = take(k / f->group);
  if (power) parts.exponents = take(k / f->block);
  return parts;
}

static void same_parts(dso_block_type type, int64_t k, dso_block_parts parts) {
  const dso_block_format *f = dso_block_format_of(type);
  if (parts.scales) same("scales", parts.scales, k / f->block * 2);
  if (parts.minima) same("minima", parts.minima, k / f->block * 2);
  if (parts.scale_codes) same("codes of scales", parts.scale_codes, k / f->group);
  if (parts.minimum_codes) same("codes of minima", parts.minimum_codes, k / f->group);
  if (parts.exponents) same("exponents", parts.exponents, k / f->block);
}

static void codec(int encoding) {
  static const int64_t counts[] = {0, 1, 2, 7, 16, 17, 33};
  for (int64_t t = 0; t < COUNT(types); t++) {
    const dso_block_format *f = dso_block_format_of(types[t]);
    for (int64_t i = 0; i < COUNT(counts); i++) {
      int64_t k = counts[i] * f->block, size = counts[i] * f->bytes, words_size = k / 32 * f->bits * 4;
      about("type %d, %lld blocks", (int)types[t], (long long)counts[i]);
      const uint8_t *blocks = (const uint8_t *)bytes(size);
      dso_block_parts parts = parts_of(types[t], k);
      uint32_t *words = take(words_size);
      uint8_t *back = take(size);
      dso_decode_blocks(types[t], k, blocks, words, parts);
      dso_encode_blocks(types[t], k, words, parts, back);
      agree("blocks that were taken apart", back, blocks, size);
      if (encoding) continue;
      same("words", words, words_size);
      same_parts(types[t], k, parts);
      float *scales = take(k / f->group * 4), *minima = f->minima ? take(k / f->group * 4) : NULL;
      dso_block_grids(types[t], k, parts, scales, minima);
      for (int64_t g = 0; g < k / f->group; g++) scales[g] = scales[g] == scales[g] ? scales[g] : 0;
      same("scales of groups", scales, k / f->group * 4);
    }
  }
}

static void encode(void) { codec(1); }
static void decode(void) { codec(0); }

/// Weights of every kind that a row can be of.
static float *weights(int64_t count, int kind) {
  float *x = floats(count, -1, 1);
  for (int64_t i = 0; i < count; i++) {
    if (kind == 1) x[i] = x[i] * x[i] + 0.5f;
    if (kind == 2) x[i] *= 0x1p-26f;
    if (kind == 3) x[i] *= 0x1p100f;
    if (kind == 4) x[i] = i / 32 % 2 ? 0 : -0.7f;
    if (kind == 5) x[i] = i % 50 == 3 ? NAN : i % 50 == 4 ? INFINITY : x[i] * x[i] * x[i];
    if (kind == 6) x[i] = any() % 64 ? x[i] * 0.01f : x[i] * 10;
  }
  return x;
}

static void quantize(void) {
  for (int64_t t = 0; t < COUNT(types); t++) {
    const dso_block_format *f = dso_block_format_of(types[t]);
    for (int kind = 0; kind < 7; kind++) {
      for (int way = 0; way < 3; way++) {
        int64_t rows = 3, k = (kind % 3 + 1) * f->block, ld = k + 3, words_size = rows * k / 32 * f->bits * 4;
        about("type %d, weights %d, way %d", (int)types[t], kind, way);
        const float *x = weights((rows - 1) * ld + k, kind), *importance = way ? floats(k, -0.1f, 1) : NULL;
        dso_block_search search = {types[t], kind == 0 && way == 0, way == 2};
        dso_block_parts parts = parts_of(types[t], rows * k);
        uint32_t *words = take(words_size);
        int64_t others = dso_quantize_blocks(&search, x, ld, rows, k, importance, words, parts,
                                             scratch_of(dso_block_search_scratch_bytes(k)));
        expect((others > 0) == (kind == 5), "count of weights that are not finite");
        same("not finite", &others, 8);
        same("words", words, words_size);
        same_parts(types[t], rows * k, parts);
        // The last row by itself.
        const float *last = x + (rows - 1) * ld;
        dso_block_parts alone = parts_of(types[t], k);
        uint32_t *own = take(words_size / rows);
        dso_quantize_blocks(&search, last, ld, 1, k, importance, own, alone, scratch_of(dso_block_search_scratch_bytes(k)));
        agree("words of a row", own, words + (rows - 1) * k / 32 * f->bits, words_size / rows);
        if (alone.scales) agree("scales of a row", alone.scales, parts.scales + (rows - 1) * k / f->block, k / f->block * 2);
      }
    }
  }
}

const kernel_case block_cases[] = {{"dso_encode_blocks", encode}, {"dso_decode_blocks", decode}, {"dso_quantize_blocks", quantize}, {NULL, NULL}};
