/// Conversions, for the variant whose vectors are included before this file. The same bits as the portable ones.
#ifndef DSO_CONVERSIONS_VECTOR_H
#define DSO_CONVERSIONS_VECTOR_H

#include "scalar.h"

void DSO_KERNEL(convert_bf16_to_f32)(const void *from, float *to, int64_t count) {
  const uint8_t *bytes = from;
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) vf_store(to + i, vf_load_bf16(bytes + 2 * i));
  dso_portable_convert_bf16_to_f32(bytes + 2 * i, to + i, count - i);
}

void DSO_KERNEL(convert_f16_to_f32)(const void *from, float *to, int64_t count) {
  const uint8_t *bytes = from;
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) vf_store(to + i, vf_load_f16(bytes + 2 * i));
  dso_portable_convert_f16_to_f32(bytes + 2 * i, to + i, count - i);
}

void DSO_KERNEL(convert_f64_to_f32)(const void *from, float *to, int64_t count) {
  const uint8_t *bytes = from;
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) vf_store(to + i, vf_of_vd(vd_load(bytes + 8 * i), vd_load(bytes + 8 * i + 4 * LANES)));
  dso_portable_convert_f64_to_f32(bytes + 8 * i, to + i, count - i);
}

void DSO_KERNEL(convert_f32_to_bf16)(const float *from, uint16_t *to, int64_t count) {
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) vf_store_bf16(to + i, vf_load(from + i));
  dso_portable_convert_f32_to_bf16(from + i, to + i, count - i);
}

void DSO_KERNEL(convert_f32_to_f16)(const float *from, uint16_t *to, int64_t count) {
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES) vf_store_f16(to + i, vf_load(from + i));
  dso_portable_convert_f32_to_f16(from + i, to + i, count - i);
}

#endif
