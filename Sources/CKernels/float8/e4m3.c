#include "../dispatch/kernel_table.h"
#include "e4m3.h"

void dso_portable_dequantize_e4m3_blocks(const uint8_t *codes, int64_t first, int64_t last, int64_t columns, const float *scales,
                                         int64_t ld_scales, int64_t block_rows, int64_t block_columns, float *out) {
  for (int64_t r = first; r < last; r++) {
    const uint8_t *row = codes + r * columns;
    const float *row_scales = scales + r / block_rows * ld_scales;
    float *target = out + (r - first) * columns;
    for (int64_t begin = 0; begin < columns; begin += block_columns) {
      int64_t end = begin + block_columns < columns ? begin + block_columns : columns;
      float scale = row_scales[begin / block_columns];
      for (int64_t c = begin; c < end; c++) target[c] = e4m3_value(row[c]) * scale;
    }
  }
}
