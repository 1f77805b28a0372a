/// What quantization did to a row of weights, for the variant whose vectors are included before this file.
#ifndef DSO_ERRORS_H
#define DSO_ERRORS_H

#include "dequantize.h"

/// Sums of squares over runs that float holds well; runs are added in double.
enum { ERROR_RUN = 512 };

INLINE VF load_dense(int storage, const uint8_t *from, int64_t i) {
  switch (storage) {
    case DSO_STORAGE_BF16: return vf_load_bf16(from + 2 * i);
    case DSO_STORAGE_F16: return vf_load_f16(from + 2 * i);
    default: return vf_load((const float *)(const void *)(from + 4 * i));
  }
}

INLINE void dense_run(int storage, const uint8_t *from, int64_t count, float *to) {
  switch (storage) {
    case DSO_STORAGE_BF16: DSO_KERNEL(convert_bf16_to_f32)(from, to, count); return;
    case DSO_STORAGE_F16: DSO_KERNEL(convert_f16_to_f32)(from, to, count); return;
    default: memcpy(to, from, (size_t)count * sizeof *to); return;
  }
}

INLINE void add_run(int storage, const uint8_t *from, const float *other, int64_t count, double *signal, double *noise) {
  VF squares[2] = {vf_zero(), vf_zero()}, errors[2] = {vf_zero(), vf_zero()};
  int64_t i = 0;
  for (; i + 2 * LANES <= count; i += 2 * LANES) {
    for (int part = 0; part < 2; part++) {
      VF x = load_dense(storage, from, i + part * LANES), difference = vf_sub(x, vf_load(other + i + part * LANES));
      squares[part] = vf_fma(x, x, squares[part]);
      errors[part] = vf_fma(difference, difference, errors[part]);
    }
  }
  *signal += vf_sum(vf_add(squares[0], squares[1]));
  *noise += vf_sum(vf_add(errors[0], errors[1]));
  if (i == count) return;
  float rest[2 * LANES];
  dense_run(storage, from + (storage == DSO_STORAGE_F32 ? 4 : 2) * i, count - i, rest);
  for (int64_t j = 0; j < count - i; j++) {
    double difference = (double)rest[j] - other[i + j];
    *signal += (double)rest[j] * rest[j];
    *noise += difference * difference;
  }
}

void DSO_KERNEL(weight_error)(const dso_weights *dense, const dso_weights *quantized, int64_t row, double *signal, double *noise) {
  uint8_t codes[ERROR_RUN];
  float values[ERROR_RUN];
  const uint8_t *from = dso_weight_row(dense, row);
  int64_t size = dense->storage == DSO_STORAGE_F32 ? 4 : 2;
  *signal = *noise = 0;
  for (int64_t begin = 0; begin < dense->k; begin += ERROR_RUN) {
    int64_t count = dso_min_i64(ERROR_RUN, dense->k - begin);
    dequantize_run(quantized, row, begin, count, codes, values);
    add_run(dense->storage, from + begin * size, values, count, signal, noise);
  }
}

#endif
