/// The few vector operations that the search needs, 4 floats wide in plain C: the portable variant is the same text as the others.
#ifndef DSO_VECTORS_H
#define DSO_VECTORS_H

#include <stdint.h>
#include <string.h>

#include "../dispatch/kernel_table.h"

#define DSO_KERNEL(name) dso_portable_##name
#define LANES 4
#define INLINE static inline __attribute__((always_inline, unused))

typedef float VF __attribute__((vector_size(16)));
typedef int32_t VI __attribute__((vector_size(16)));

INLINE VF vf_zero(void) { return (VF){0, 0, 0, 0}; }
INLINE VF vf_set(float x) { return (VF){x, x, x, x}; }
INLINE VF vf_load(const float *p) {
  VF v;
  memcpy(&v, p, sizeof v);
  return v;
}
INLINE void vf_store(float *p, VF v) { memcpy(p, &v, sizeof v); }
INLINE VF vf_add(VF a, VF b) { return a + b; }
INLINE VF vf_sub(VF a, VF b) { return a - b; }
INLINE VF vf_mul(VF a, VF b) { return a * b; }
INLINE VF vf_div(VF a, VF b) { return a / b; }
INLINE VI vi_set(int32_t x) { return (VI){x, x, x, x}; }
INLINE VI vi_add(VI a, VI b) { return a + b; }
INLINE VI vi_sub(VI a, VI b) { return a - b; }
INLINE VI vi_and(VI a, VI b) { return a & b; }
INLINE VI vi_shift_left(VI a, int n) { return a << n; }
/// For what is not negative.
INLINE VI vi_shift_right(VI a, int n) { return a >> n; }
INLINE VI vi_cast(VF a) { return (VI)a; }
INLINE VF vf_cast(VI a) { return (VF)a; }
INLINE VF vf_of_vi(VI a) { return __builtin_convertvector(a, VF); }
INLINE VF v_select(VI mask, VF yes, VF no) { return (VF)((mask & (VI)yes) | (~mask & (VI)no)); }
INLINE VF vf_max(VF a, VF b) { return v_select(a > b, a, b); }
INLINE VF vf_min(VF a, VF b) { return v_select(a < b, a, b); }
INLINE VF vf_where_less(VF a, VF b, VF yes, VF no) { return v_select(a < b, yes, no); }
INLINE VF vf_abs(VF a) { return (VF)((VI)a & vi_set(0x7fffffff)); }
/// To nearest, ties to even, for magnitudes below 2^22: the sum with 1.5 * 2^23 has no room for a fraction. What becomes 0 keeps its sign.
INLINE VF vf_round(VF a) { return (VF)((VI)((a + vf_set(0x1.8p23f)) - vf_set(0x1.8p23f)) | ((VI)a & (VI)vf_set(-0.0f))); }
/// For whole n in -126...127.
INLINE VF vf_ldexp(VF a, VF n) { return a * (VF)((__builtin_convertvector(n, VI) + vi_set(127)) << 23); }

#endif
