#include "check.h"

const int64_t boundaries[BOUNDARIES] = {1,  2,  3,  4,  5,  7,  8,  9,  15,  16,
                                        17, 31, 32, 33, 63, 64, 65, 127, 128, 129};

enum { ROW = 1 << 20 };
#define CODES(bits) {DSO_STORAGE_QUANTIZED, bits, 32, 0, 0, 0}, {DSO_STORAGE_QUANTIZED, bits, 30, 1, 0, 0}
#define LEVELS(bits, group) {DSO_STORAGE_QUANTIZED, bits, group, 0, 1, 0}
#define MINIMA(bits, group) {DSO_STORAGE_QUANTIZED, bits, group, 0, 0, 1}

const weight_kind weight_kinds[WEIGHT_KINDS] = {
    {DSO_STORAGE_F32, 0, ROW, 0, 0, 0}, {DSO_STORAGE_BF16, 0, ROW, 0, 0, 0}, {DSO_STORAGE_F16, 0, ROW, 0, 0, 0},
    CODES(2), CODES(3), CODES(4), CODES(5), CODES(6), CODES(7), CODES(8),
    {DSO_STORAGE_QUANTIZED, 4, 128, 1, 0, 0}, {DSO_STORAGE_QUANTIZED, 8, ROW, 0, 0, 0},
    LEVELS(2, 32), LEVELS(3, 32), LEVELS(4, 32), LEVELS(5, 32), LEVELS(6, 32), LEVELS(7, 32), LEVELS(8, 32),
    LEVELS(4, 128), LEVELS(4, 30), LEVELS(4, ROW),
    MINIMA(2, 16), MINIMA(3, 64), MINIMA(4, 32), MINIMA(4, 128), MINIMA(5, 30), MINIMA(6, 64), MINIMA(8, ROW),
};

static const void *halves_of(int64_t count, int bfloat) {
  uint16_t *to = take(2 * count);
  for (int64_t i = 0; i < count; i++) {
    float value = number(-2, 2);
    uint32_t pattern;
    memcpy(&pattern, &value, sizeof pattern);
    // Finite halves: exponents up to 15, values up to 2 in magnitude.
    to[i] = bfloat ? (uint16_t)(pattern >> 16) : (uint16_t)(any() & 0xbfff);
  }
  return to;
}

dso_weights weights_of(weight_kind kind, int64_t n, int64_t k) {
  dso_weights w = {.storage = kind.storage, .n = n, .k = k, .group_size = kind.group < k ? kind.group : k};
  switch (kind.storage) {
    case DSO_STORAGE_F32: w.row_bytes = 4 * k, w.data = floats(n * k, -2, 2); return w;
    case DSO_STORAGE_BF16: w.row_bytes = 2 * k, w.data = halves_of(n * k, 1); return w;
    case DSO_STORAGE_F16: w.row_bytes = 2 * k, w.data = halves_of(n * k, 0); return w;
    case DSO_STORAGE_QUANTIZED: break;
  }
  int64_t groups = k > 0 ? n * ((k + w.group_size - 1) / w.group_size) : 0;
  int half = 1 << (kind.bits - 1);
  w.bits = kind.bits;
  w.row_bytes = (k * kind.bits + 7) / 8;
  w.data = bytes(n * w.row_bytes);
  w.scales = floats(groups, 0.001f, 0.02f);
  if (kind.levels) w.levels = floats(1 << kind.bits, -1, 1);
  if (kind.minima) w.minima = floats(groups, -1, 0.2f);
  if (kind.zeros) {
    int8_t *zeros = take(groups);
    for (int64_t i = 0; i < groups; i++) zeros[i] = (int8_t)between(-half, half - 1);
    w.zero_points = zeros;
  }
  return w;
}

float *dense(const dso_weights *w) {
  dso_isa set = dso_isa_current();
  float *to = take(w->n * w->k * 4);
  dso_isa_force(DSO_ISA_PORTABLE);
  dso_dequantize(w, 0, w->n, to, w->k);
  dso_isa_force(set);
  return to;
}
