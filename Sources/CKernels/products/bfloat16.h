/// bfloat16 in the products: how many of them make a unit of a panel, how floats are rounded to it on their way into a panel, and how units
/// are multiplied. Where there is no instruction for pairs, a unit is one float that holds a value of bfloat16.
#ifndef DSO_BFLOAT16_H
#define DSO_BFLOAT16_H

#if LANES == 16
#define BF16_PER_UNIT 2

/// The pairs (low[i], high[i]), for what lies in two rows.
INLINE VF round_pair(VF low, VF high) {
  // One index for each half: i of the low sixteen beside i of the high ones. vcvtne2ps2bf16 takes denormals for zero, as the product does.
  VI order = _mm512_setr_epi32(0x100000, 0x110001, 0x120002, 0x130003, 0x140004, 0x150005, 0x160006, 0x170007, 0x180008, 0x190009,
                               0x1a000a, 0x1b000b, 0x1c000c, 0x1d000d, 0x1e000e, 0x1f000f);
  return vf_cast(_mm512_permutexvar_epi16(order, (VI)_mm512_cvtne2ps_pbh(high, low)));
}

/// LANES units of the floats that follow each other at `from`.
INLINE VF round_units(const float *from) { return vf_cast((VI)_mm512_cvtne2ps_pbh(vf_load(from + LANES), vf_load(from))); }

INLINE VF add_product_bf16(VF acc, VF a, VF b) { return _mm512_dpbf16_ps(acc, (__m512bh)b, (__m512bh)a); }
#else
#define BF16_PER_UNIT 1

INLINE VF round_pair(VF low, VF high) {
  uint16_t halves[LANES];
  (void)high;
  vf_store_bf16(halves, low);
  return vf_load_bf16(halves);
}

INLINE VF round_units(const float *from) { return round_pair(vf_load(from), vf_zero()); }

INLINE VF add_product_bf16(VF acc, VF a, VF b) { return vf_fma(a, b, acc); }
#endif

#endif
