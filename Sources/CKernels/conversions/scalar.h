/// Conversions of one number, exact to the bit. The vector variants give the same bits.
#ifndef DSO_CONVERSIONS_SCALAR_H
#define DSO_CONVERSIONS_SCALAR_H

#include <stdint.h>
#include <string.h>

static inline uint32_t dso_bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

static inline float dso_float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

static inline float dso_f32_of_bf16(uint16_t h) { return dso_float_of((uint32_t)h << 16); }

static inline uint16_t dso_bf16_of_f32(float x) {
  uint32_t bits = dso_bits_of(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)((bits >> 16) | 0x40u);
  return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

static inline float dso_f32_of_f16(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000u) << 16, rest = h & 0x7fffu;
  if (rest > 0x7c00u) return dso_float_of(sign | 0x7fc00000u | (rest << 13));
  if (rest == 0x7c00u) return dso_float_of(sign | 0x7f800000u);
  if (rest >= 0x400u) return dso_float_of(sign | ((rest << 13) + 0x38000000u));
  float magnitude = (float)rest * 0x1p-24f;
  return dso_float_of(sign | dso_bits_of(magnitude));
}

static inline uint16_t dso_f16_of_f32(float x) {
  uint32_t bits = dso_bits_of(x), sign = (bits >> 16) & 0x8000u, rest = bits & 0x7fffffffu;
  if (rest > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | ((rest >> 13) & 0x3ffu));
  if (rest >= 0x47800000u) return (uint16_t)(sign | 0x7c00u);
  if (rest >= 0x38800000u) {
    uint32_t rounded = rest + 0xfffu + ((rest >> 13) & 1u);
    return (uint16_t)(sign | ((rounded - 0x38000000u) >> 13));
  }
  // Below the normal range: adding 0.5 leaves the wanted bits, rounded to even, at the bottom of the significand.
  float shifted = dso_float_of(rest) + 0.5f;
  return (uint16_t)(sign | (dso_bits_of(shifted) - 0x3f000000u));
}

#endif
