/// The search for codes and parts, for the variant whose vectors are included before this file.
#ifndef DSO_BLOCKS_SEARCH_H
#define DSO_BLOCKS_SEARCH_H

#include "emit.h"

// MARK: - By type

INLINE void run_super(super_plan plan, int bits, lanes tile, int plain, outlet *out) {
  super_parts parts;
  plain_super(&plan, tile, &parts);
  if (!plain) search_super(&plan, tile, &parts);
  emit_super(&plan, bits, tile, &parts, out);
}

INLINE void run_signed(signed_plan plan, int bits, lanes tile, int plain, outlet *out) {
  signed_parts parts;
  plain_signed(&plan, tile, &parts);
  if (!plain) search_signed(&plan, tile, &parts);
  emit_signed(&plan, bits, tile, &parts, out);
}

/// Whole codes low...high, stored 2^(bits-1) higher.
INLINE void run_single(int bits, float low, float high, float bottom, scan around, lanes tile, int plain, outlet *out) {
  ladder codes = {NULL, vf_set(low), vf_set(high)};
  VF scale = single_scale(tile, &codes, bottom, around, plain);
  emit_whole(out, tile, 0, SINGLE, scale, &codes, (float)(1 << (bits - 1)));
  emit_halves(out, scale, out->parts.scales);
  emit_words(out, SINGLE, bits);
}

INLINE void run_single_affine(int bits, scan around, lanes tile, int plain, outlet *out) {
  VF top = vf_set((float)((1 << bits) - 1));
  affine_grid grid = single_affine(tile, top, around, plain);
  emit_affine(out, tile, 0, SINGLE, grid, top);
  emit_halves(out, grid.scale, out->parts.scales);
  emit_halves(out, grid.low, out->parts.minima);
  emit_words(out, SINGLE, bits);
}

INLINE void run_nonlinear(scan around, lanes tile, int plain, outlet *out) {
  static const float levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
  static const uint8_t codes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  ladder l = {levels, vf_zero(), vf_zero()};
  VF scale = single_scale(tile, &l, -127, around, plain);
  emit_levels(out, tile, inverse_of(scale), &l, codes);
  emit_halves(out, scale, out->parts.scales);
  emit_words(out, SINGLE, 4);
}

INLINE void run_powers(lanes tile, int plain, outlet *out) {
  static const float levels[16] = {-6, -4, -3, -2, -1.5f, -1, -0.5f, 0, 0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
  static const uint8_t codes[16] = {15, 14, 13, 12, 11, 10, 9, 0, 0, 1, 2, 3, 4, 5, 6, 7};
  ladder l = {levels, vf_zero(), vf_zero()};
  VF exponent = single_exponent(tile, &l, plain);
  float values[LANES];
  vf_store(values, exponent);
  for (int lane = 0; lane < out->count; lane++) out->parts.exponents[out->block[lane]] = (uint8_t)values[lane];
  emit_levels(out, tile, power(vf_sub(vf_set(127), exponent)), &l, codes);
  emit_words(out, SINGLE, 4);
}

/// The scans were chosen by what they gain on normal weights of which some matter e times as much as others, and what they cost.
static void run_tile(dso_block_type type, int plain, lanes tile, outlet *out) {
  const scan of_steps = {32, 2, -15, 1};
  switch (type) {
    case DSO_BLOCKS_Q4_0: run_single(4, -8, 7, -8, (scan){20, 4, -2, 2.5f}, tile, plain, out); break;
    case DSO_BLOCKS_Q5_0: run_single(5, -16, 15, -16, (scan){24, 4, -5, 3}, tile, plain, out); break;
    case DSO_BLOCKS_Q8_0: run_single(8, -127, 127, 127, (scan){24, 4, -12, 3}, tile, plain, out); break;
    case DSO_BLOCKS_Q4_1: run_single_affine(4, (scan){28, 4, -4, 3}, tile, plain, out); break;
    case DSO_BLOCKS_Q5_1: run_single_affine(5, (scan){28, 4, -8, 3}, tile, plain, out); break;
    case DSO_BLOCKS_Q2_K:
      run_super((super_plan){16, 16, 3, 15, {20, 4, -1.5f, 2}, {32, 2, -8, 1}, 3}, 2, tile, plain, out);
      break;
    case DSO_BLOCKS_Q3_K:
      run_signed((signed_plan){16, 16, 4, -32, 31, {14, 4, -1.5f, 2}, {32, 2, -12, 1}, 3, 2}, 3, tile, plain, out);
      break;
    case DSO_BLOCKS_Q4_K: run_super((super_plan){8, 32, 15, 63, {28, 4, -4, 3}, of_steps, 3}, 4, tile, plain, out); break;
    case DSO_BLOCKS_Q5_K: run_super((super_plan){8, 32, 31, 63, {28, 4, -8, 3}, of_steps, 3}, 5, tile, plain, out); break;
    case DSO_BLOCKS_Q6_K:
      run_signed((signed_plan){16, 16, 32, -128, 127, {24, 4, -10, 4}, {32, 2, -24, 1}, 3, 2}, 6, tile, plain, out);
      break;
    case DSO_BLOCKS_IQ4_NL: run_nonlinear((scan){14, 4, -30, 40}, tile, plain, out); break;
    case DSO_BLOCKS_MXFP4: run_powers(tile, plain, out); break;
  }
}

// MARK: - Rows

/// Weights of 0 where they are not finite; returns how many.
INLINE int64_t finite_row(const float *x, int64_t k, float *to) {
  int64_t others = 0;
  for (int64_t i = 0; i < k; i++) {
    int finite = fabsf(x[i]) < INFINITY;
    to[i] = finite ? x[i] : 0;
    others += !finite;
  }
  return others;
}

/// The largest that is a number, at least 0, of whole blocks.
INLINE float largest_of(const float *x, int64_t k) {
  VF most = vf_zero();
  for (int64_t i = 0; i < k; i += LANES) {
    VF value = vf_load(x + i);
    most = vf_max(vf_where_less(value, vf_set(INFINITY), value, vf_zero()), most);
  }
  float values[LANES], largest = 0;
  vf_store(values, most);
  for (int lane = 0; lane < LANES; lane++) largest = values[lane] > largest ? values[lane] : largest;
  return largest;
}

/// What the errors of a row are weighed with: above 0, at most 1.
INLINE void weigh_row(const float *x, const float *importance, int by_magnitude, int64_t k, float *to) {
  if (by_magnitude) {
    DSO_KERNEL(imatrix_importance)(x, importance, k, to);
    importance = to;
  }
  float largest = importance ? largest_of(importance, k) : 0;
  for (int64_t i = 0; i < k; i += LANES) {
    VF share = vf_set(1);
    if (largest > 0) share = vf_min(vf_max(vf_div(vf_load(importance + i), vf_set(largest)), vf_set(0x1p-20f)), vf_set(1));
    vf_store(to + i, share);
  }
}

int64_t DSO_KERNEL(quantize_blocks)(const dso_block_search *search, const float *x, int64_t ldx, int64_t rows, int64_t k,
                                    const float *importance, uint32_t *words, dso_block_parts parts, void *scratch) {
  const dso_block_format *format = dso_block_format_of(search->type);
  if (!format || k <= 0) return 0;
  int size = format->block;
  float *values = scratch, *weighing = values + k;
  lanes tile = {weighing + k, weighing + k + LARGEST_BLOCK * LANES};
  outlet out = {.words = words, .parts = parts, .codes = (uint8_t *)(tile.importance + LARGEST_BLOCK * LANES)};
  int64_t others = 0, blocks = k / size;
  for (int64_t row = 0; row < rows; row++) {
    others += finite_row(x + row * ldx, k, values);
    // Without magnitudes, all rows weigh alike.
    if (row == 0 || search->by_magnitude) weigh_row(values, importance, search->by_magnitude, k, weighing);
    for (int64_t b = 0; b < blocks; b++) {
      for (int i = 0; i < size; i++) {
        tile.x[i * LANES + out.count] = values[b * size + i];
        tile.importance[i * LANES + out.count] = weighing[b * size + i];
      }
      out.block[out.count++] = row * blocks + b;
      if (out.count < LANES && (row + 1 < rows || b + 1 < blocks)) continue;
      for (int lane = out.count; lane < LANES; lane++)
        for (int i = 0; i < size; i++) tile.x[i * LANES + lane] = 0, tile.importance[i * LANES + lane] = 1;
      run_tile(search->type, search->plain, tile, &out);
      out.count = 0;
    }
  }
  return others;
}

#endif
