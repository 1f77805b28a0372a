/// Round-to-nearest of whole rows, for the variant whose kernels are declared before this file.
#ifndef DSO_NEAREST_H
#define DSO_NEAREST_H

#include "../gridsearch/group.h"
#include "codes.h"

/// The grid of a group of these extremes.
static inline dso_grid nearest_group_grid(float low, float high, const dso_nearest_grid *grid) {
  dso_grid grids[3] = {{0}};
  // The extremes of weights on one side of zero reach to it.
  dso_rule_grids(low < 0 ? low : 0, high > 0 ? high : 0, grid->bits, grid->symmetric, grid->type, grids);
  dso_grid chosen = grids[grid->symmetric ? grid->rule : 0];
  if (chosen.scale == 0) chosen.scale = 1;
  return chosen;
}

dso_nearest_counts DSO_KERNEL(round_rows_to_nearest)(const void *weights, int storage, int64_t row_bytes, int64_t rows, int64_t k,
                                                     const dso_nearest_grid *grid, uint32_t *words, float *scales,
                                                     int8_t *zero_points, void *scratch) {
  dso_nearest_counts counts = {0, 0};
  if (k <= 0) return counts;
  float *values = scratch;
  uint8_t *codes = (uint8_t *)(values + (k + 15) / 16 * 16);
  int64_t groups = (k + grid->group_size - 1) / grid->group_size, row_words = (k * grid->bits + 31) / 32;
  const uint8_t *from = weights;
  for (int64_t row = 0; row < rows; row++, from += row_bytes, words += row_words, scales += groups) {
    switch (storage) {
      case DSO_STORAGE_BF16: DSO_KERNEL(convert_bf16_to_f32)(from, values, k); break;
      case DSO_STORAGE_F16: DSO_KERNEL(convert_f16_to_f32)(from, values, k); break;
      default: memcpy(values, from, (size_t)k * sizeof *values); break;
    }
    for (int64_t g = 0; g < groups; g++) {
      int64_t begin = g * grid->group_size, count = dso_min_i64(grid->group_size, k - begin);
      float low, high;
      int64_t nonfinite;
      DSO_KERNEL(min_max)(values + begin, count, &low, &high, &nonfinite);
      counts.nonfinite += nonfinite;
      dso_grid chosen = nearest_group_grid(low, high, grid);
      scales[g] = chosen.scale;
      if (zero_points) zero_points[row * groups + g] = (int8_t)chosen.zero_point;
      counts.clamped += DSO_KERNEL(quantize_group)(values + begin, count, chosen.scale, chosen.zero_point, grid->bits, codes + begin);
    }
    DSO_KERNEL(pack_codes)(codes, k, grid->bits, words);
  }
  return counts;
}

#endif
