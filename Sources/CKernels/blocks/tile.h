/// Blocks side by side: every lane of the vectors is a block of its own, for which the search runs as it would for one number after the
/// other. So nothing is ever added across lanes, and every width of vectors finds the same bits.
#ifndef DSO_BLOCKS_TILE_H
#define DSO_BLOCKS_TILE_H

#include <math.h>

#include "../conversions/scalar.h"

enum { LARGEST_BLOCK = 256, MOST_GROUPS = 16 };

/// The d of a block of 256 is descended from where the scales of its groups are nearest to multiples, and from a little below and above.
enum { FIRST_STEPS = 3 };
static const float first_steps[FIRST_STEPS] = {1, 1.02f, 0.98f};

/// Element i of all lanes stands at [i * LANES].
typedef struct {
  float *x;           ///< weights
  float *importance;  ///< above 0, at most 1
} lanes;

INLINE lanes lanes_at(lanes of, int i) { return (lanes){of.x + (int64_t)i * LANES, of.importance + (int64_t)i * LANES}; }

INLINE VF vf_where_positive(VF a, VF yes, VF no) { return vf_where_less(vf_zero(), a, yes, no); }
INLINE VF clamped(VF a, VF low, VF high) { return vf_min(vf_max(a, low), high); }
/// 1 / scale, 0 for 0.
INLINE VF inverse_of(VF scale) { return vf_where_positive(vf_abs(scale), vf_div(vf_set(1), scale), vf_zero()); }
/// numerator / denominator where that is above 0, otherwise 0.
INLINE VF quotient(VF numerator, VF denominator) { return vf_where_positive(denominator, vf_div(numerator, denominator), vf_zero()); }

/// The nearest float16 (of two as near, either): rounded to 11 bits by the difference from a multiple, below the normal range to a multiple
/// of 2^-24, at most 65504.
INLINE VF vf_half(VF a) {
  VF bounded = clamped(a, vf_set(-65504), vf_set(65504)), multiple = vf_mul(bounded, vf_set(8193));
  VF normal = clamped(vf_sub(multiple, vf_sub(multiple, bounded)), vf_set(-65504), vf_set(65504));
  VF tiny = vf_sub(vf_add(bounded, vf_set(0.75f)), vf_set(0.75f));
  return vf_where_less(vf_abs(bounded), vf_set(0x1p-14f), tiny, normal);
}

/// Whether a lies below b in any lane.
INLINE int any_less(VF a, VF b) {
  float out[LANES];
  int found = 0;
  vf_store(out, vf_where_less(a, b, vf_set(1), vf_zero()));
  for (int lane = 0; lane < LANES; lane++) found |= out[lane] > 0;
  return found;
}

INLINE void lane_halves(VF a, uint16_t halves[LANES]) {
  float out[LANES];
  vf_store(out, a);
  for (int lane = 0; lane < LANES; lane++) halves[lane] = dso_f16_of_f32(out[lane]);
}

#endif
