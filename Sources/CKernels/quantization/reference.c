/// Packing, unpacking and dequantizing, portable.
#include <string.h>

#include "../conversions/scalar.h"
#include "../dispatch/kernel_table.h"
#include "codes.h"

void dso_portable_pack_codes(const uint8_t *codes, int64_t count, int bits, uint32_t *words) {
  uint64_t pending = 0;
  int held = 0;
  uint32_t mask = (1u << bits) - 1u;
  for (int64_t i = 0; i < count; i++) {
    pending |= (uint64_t)(codes[i] & mask) << held;
    held += bits;
    if (held >= 32) {
      *words++ = (uint32_t)pending;
      pending >>= 32;
      held -= 32;
    }
  }
  if (held > 0) *words = (uint32_t)pending;
}

void dso_portable_unpack_codes(const uint32_t *words, int64_t count, int bits, uint8_t *codes) {
  const uint8_t *bytes = (const uint8_t *)words;
  for (int64_t i = 0; i < count; i++) codes[i] = (uint8_t)dso_stored_code(bytes, i, bits);
}

static void dequantize_row(const dso_weights *w, int64_t row, float *out) {
  const uint8_t *data = dso_weight_row(w, row);
  int64_t groups = dso_group_count(w);
  for (int64_t g = 0; g < groups; g++) {
    int64_t end = dso_min_i64(w->k, (g + 1) * w->group_size);
    for (int64_t i = g * w->group_size; i < end; i++) out[i] = dso_code_value(w, row * groups + g, dso_stored_code(data, i, w->bits));
  }
}

void dso_portable_dequantize(const dso_weights *w, int64_t row_begin, int64_t row_end, float *out, int64_t ldo) {
  for (int64_t row = row_begin; row < row_end; row++, out += ldo) {
    switch (w->storage) {
      case DSO_STORAGE_QUANTIZED: dequantize_row(w, row, out); break;
      case DSO_STORAGE_BF16: dso_portable_convert_bf16_to_f32(dso_weight_row(w, row), out, w->k); break;
      case DSO_STORAGE_F16: dso_portable_convert_f16_to_f32(dso_weight_row(w, row), out, w->k); break;
      case DSO_STORAGE_F32: memcpy(out, dso_weight_row(w, row), (size_t)w->k * sizeof *out); break;
    }
  }
}

void dso_portable_weight_error(const dso_weights *dense, const dso_weights *quantized, int64_t row, double *signal, double *noise) {
  enum { RUN = 512 };
  float original[RUN], stored[RUN];
  dso_weights run = *dense, codes = *quantized;
  int64_t size = dense->storage == DSO_STORAGE_F32 ? 4 : 2, groups = dso_group_count(quantized);
  *signal = *noise = 0;
  for (int64_t begin = 0; begin < dense->k; begin += run.k) {
    run.data = dso_weight_row(dense, row) + begin * size;
    run.k = dso_min_i64(RUN, dense->k - begin);
    dso_portable_dequantize(&run, 0, 1, original, run.k);
    for (int64_t i = 0; i < run.k; i++) {
      int64_t place = begin + i, group = row * groups + place / codes.group_size;
      stored[i] = dso_code_value(&codes, group, dso_stored_code(dso_weight_row(&codes, row), place, codes.bits));
      double difference = (double)original[i] - stored[i];
      *signal += (double)original[i] * original[i];
      *noise += difference * difference;
    }
  }
}
