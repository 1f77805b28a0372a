/// A float to the nearest code of E4M3 and back, by arithmetic on bits.
#ifndef DSO_E4M3_H
#define DSO_E4M3_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/// Ties to even; what is larger than 448 becomes 448, NaN the code 0x7f.
static inline uint32_t e4m3_code(float value) {
  float size = fabsf(value);
  uint32_t bits, sign;
  memcpy(&sign, &value, 4);
  memcpy(&bits, &size, 4);
  // Three bits of fraction stay; the exponent's bias is 120 less.
  uint32_t normal = (bits + 0x7ffff + (bits >> 20 & 1)) >> 20;
  normal = normal > (120 << 3) + 0x7e ? 0x7e : normal - (120 << 3);
  // Below 2^-6, whole numbers of 2^-9: a sum that has no room for more rounds them.
  float whole = size * 512 + 0x1p23f;
  uint32_t small;
  memcpy(&small, &whole, 4);
  small &= 15;
  uint32_t code = size < 0x1p-6f ? small : normal;
  code = size != size ? 0x7f : code;
  return code | (sign >> 24 & 0x80);
}

/// By arithmetic rather than by a table, so that compilers make vectors of it: the bits of a float with an exponent 120 too small, times 2^120,
/// which is right for subnormal codes too.
static inline float e4m3_value(uint32_t code) {
  uint32_t bits = (code & 0x80) << 24 | (code & 0x7f) << 20;
  float value;
  memcpy(&value, &bits, sizeof value);
  value *= 0x1p120f;
  return (code & 0x7f) == 0x7f ? NAN : value;
}

#endif
