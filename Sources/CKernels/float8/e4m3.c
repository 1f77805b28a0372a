#include <math.h>
#include <string.h>

#include "../dispatch/kernel_table.h"

/// By arithmetic rather than by a table, so that compilers make vectors of it: the bits of a float with an exponent 120 too small, times 2^120,
/// which is right for subnormal codes too.
static float value_of(uint8_t code) {
  uint32_t bits = (uint32_t)(code & 0x80) << 24 | (uint32_t)(code & 0x7f) << 20;
  float value;
  memcpy(&value, &bits, sizeof value);
  value *= 0x1p120f;
  return (code & 0x7f) == 0x7f ? NAN : value;
}

void dso_portable_dequantize_e4m3_blocks(const uint8_t *codes, int64_t first, int64_t last, int64_t columns, const float *scales,
                                         int64_t ld_scales, int64_t block_rows, int64_t block_columns, float *out) {
  for (int64_t r = first; r < last; r++) {
    const uint8_t *row = codes + r * columns;
    const float *row_scales = scales + r / block_rows * ld_scales;
    float *target = out + (r - first) * columns;
    for (int64_t begin = 0; begin < columns; begin += block_columns) {
      int64_t end = begin + block_columns < columns ? begin + block_columns : columns;
      float scale = row_scales[begin / block_columns];
      for (int64_t c = begin; c < end; c++) target[c] = value_of(row[c]) * scale;
    }
  }
}
