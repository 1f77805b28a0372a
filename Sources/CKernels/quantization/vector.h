/// Packing, unpacking and dequantizing, for the variant whose vectors are included before this file.
#ifndef DSO_QUANTIZATION_VECTOR_H
#define DSO_QUANTIZATION_VECTOR_H

#include "dequantize.h"
#include "grid.h"
#include "pack.h"

void DSO_KERNEL(pack_codes)(const uint8_t *codes, int64_t count, int bits, uint32_t *words) {
  // Whole words only: 32 codes fill `bits` of them.
  int64_t whole = count / 32 * 32;
  if (bits == 8) {
    memcpy(words, codes, (size_t)whole);
  } else {
    pack_whole(codes, whole, bits, (uint8_t *)words);
  }
  if (whole < count) dso_portable_pack_codes(codes + whole, count - whole, bits, words + whole / 32 * bits);
}

void DSO_KERNEL(unpack_codes)(const uint32_t *words, int64_t count, int bits, uint8_t *codes) {
  unpack_run((const uint8_t *)words, count, bits, 0, count, codes);
}

void DSO_KERNEL(dequantize)(const dso_weights *w, int64_t row_begin, int64_t row_end, float *out, int64_t ldo) {
  enum { CHUNK = 1024 };
  uint8_t codes[CHUNK];
  for (int64_t row = row_begin; row < row_end; row++, out += ldo) {
    switch (w->storage) {
      case DSO_STORAGE_QUANTIZED:
        for (int64_t begin = 0; begin < w->k; begin += CHUNK)
          dequantize_run(w, row, begin, dso_min_i64(CHUNK, w->k - begin), codes, out + begin);
        break;
      case DSO_STORAGE_BF16: DSO_KERNEL(convert_bf16_to_f32)(dso_weight_row(w, row), out, w->k); break;
      case DSO_STORAGE_F16: DSO_KERNEL(convert_f16_to_f32)(dso_weight_row(w, row), out, w->k); break;
      case DSO_STORAGE_F32: memcpy(out, dso_weight_row(w, row), (size_t)w->k * sizeof *out); break;
    }
  }
}

#include "errors.h"
#include "nearest.h"

#endif
