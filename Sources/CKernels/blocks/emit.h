/// From what was found for the lanes to words and parts.
#ifndef DSO_BLOCKS_EMIT_H
#define DSO_BLOCKS_EMIT_H

#include "signed.h"
#include "single.h"
#include "super.h"

/// Where the blocks of the lanes go.
typedef struct {
  int count;                 ///< lanes in use
  int64_t block[LANES];      ///< number of the block, over all rows
  uint32_t *words;
  dso_block_parts parts;
  uint8_t *codes;            ///< [LANES][256]
} outlet;

/// The codes of elements first..<first + count, found as floats.
INLINE void emit_codes(outlet *out, int i, VF codes) {
  float values[LANES];
  vf_store(values, codes);
  for (int lane = 0; lane < LANES; lane++) out->codes[lane * LARGEST_BLOCK + i] = (uint8_t)values[lane];
}

INLINE void emit_affine(outlet *out, lanes group, int first, int count, affine_grid grid, VF top) {
  VF inverse = inverse_of(grid.scale);
  for (int i = 0; i < count; i++) emit_codes(out, first + i, affine_code(vf_load(group.x + i * LANES), grid, inverse, top));
}

/// Whole codes, stored `offset` higher.
INLINE void emit_whole(outlet *out, lanes group, int first, int count, VF scale, const ladder *l, float offset) {
  VF inverse = inverse_of(scale);
  for (int i = 0; i < count; i++)
    emit_codes(out, first + i, vf_add(ladder_code(l, vf_mul(vf_load(group.x + i * LANES), inverse)), vf_set(offset)));
}

/// Indices of levels, exchanged for the codes that stand for them.
INLINE void emit_levels(outlet *out, lanes tile, VF inverse, const ladder *l, const uint8_t codes[16]) {
  for (int i = 0; i < SINGLE; i++) {
    float values[LANES];
    vf_store(values, nearest_level_index(vf_mul(vf_load(tile.x + i * LANES), inverse), l->levels));
    for (int lane = 0; lane < LANES; lane++) out->codes[lane * LARGEST_BLOCK + i] = codes[(int)values[lane]];
  }
}

INLINE void emit_words(outlet *out, int block, int bits) {
  for (int lane = 0; lane < out->count; lane++)
    DSO_KERNEL(pack_codes)(out->codes + lane * LARGEST_BLOCK, block, bits, out->words + out->block[lane] * (block / 32 * bits));
}

INLINE void emit_halves(outlet *out, VF values, uint16_t *to) {
  uint16_t halves[LANES];
  lane_halves(values, halves);
  for (int lane = 0; lane < out->count; lane++) to[out->block[lane]] = halves[lane];
}

INLINE void emit_super(const super_plan *plan, int bits, lanes tile, const super_parts *p, outlet *out) {
  for (int g = 0; g < plan->groups; g++) {
    emit_affine(out, super_group(plan, tile, g), g * plan->count, plan->count, super_grid_at(p, g), vf_set(plan->top));
    for (int lane = 0; lane < out->count; lane++) {
      out->parts.scale_codes[out->block[lane] * plan->groups + g] = (int8_t)p->scale_codes[g * LANES + lane];
      out->parts.minimum_codes[out->block[lane] * plan->groups + g] = (uint8_t)p->minimum_codes[g * LANES + lane];
    }
  }
  emit_halves(out, p->scale, out->parts.scales);
  emit_halves(out, p->minimum, out->parts.minima);
  emit_words(out, LARGEST_BLOCK, bits);
}

INLINE void emit_signed(const signed_plan *plan, int bits, lanes tile, const signed_parts *p, outlet *out) {
  ladder codes = signed_ladder(plan);
  for (int g = 0; g < plan->groups; g++) {
    VF scale = vf_mul(p->scale, vf_load(p->scale_codes + g * LANES));
    emit_whole(out, signed_group(plan, tile, g), g * plan->count, plan->count, scale, &codes, plan->half);
    for (int lane = 0; lane < out->count; lane++)
      out->parts.scale_codes[out->block[lane] * plan->groups + g] = (int8_t)p->scale_codes[g * LANES + lane];
  }
  emit_halves(out, p->scale, out->parts.scales);
  emit_words(out, LARGEST_BLOCK, bits);
}

#endif
