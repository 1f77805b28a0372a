/// Conversions, portable.
#include "../dispatch/kernel_table.h"
#include "scalar.h"

void dso_portable_convert_bf16_to_f32(const void *from, float *to, int64_t count) {
  const uint8_t *bytes = from;
  for (int64_t i = 0; i < count; i++) {
    uint16_t h;
    memcpy(&h, bytes + 2 * i, sizeof h);
    to[i] = dso_f32_of_bf16(h);
  }
}

void dso_portable_convert_f16_to_f32(const void *from, float *to, int64_t count) {
  const uint8_t *bytes = from;
  for (int64_t i = 0; i < count; i++) {
    uint16_t h;
    memcpy(&h, bytes + 2 * i, sizeof h);
    to[i] = dso_f32_of_f16(h);
  }
}

void dso_portable_convert_f64_to_f32(const void *from, float *to, int64_t count) {
  const uint8_t *bytes = from;
  for (int64_t i = 0; i < count; i++) {
    double d;
    memcpy(&d, bytes + 8 * i, sizeof d);
    to[i] = (float)d;
  }
}

void dso_portable_convert_f32_to_bf16(const float *from, uint16_t *to, int64_t count) {
  for (int64_t i = 0; i < count; i++) to[i] = dso_bf16_of_f32(from[i]);
}

void dso_portable_convert_f32_to_f16(const float *from, uint16_t *to, int64_t count) {
  for (int64_t i = 0; i < count; i++) to[i] = dso_f16_of_f32(from[i]);
}
