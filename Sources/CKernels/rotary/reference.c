/// Rotary position embedding, portable.
#include "../dispatch/kernel_table.h"

void dso_portable_rotary(float *x, int64_t ldx, int64_t rows, int64_t heads, int64_t head_dim, int64_t rotary_dim, int interleaved,
                         const float *cosines, const float *sines, int64_t ld_table) {
  int64_t half = rotary_dim / 2;
  int64_t step = interleaved ? 2 : 1, partner = interleaved ? 1 : half;
  for (int64_t row = 0; row < rows; row++, x += ldx, cosines += ld_table, sines += ld_table) {
    for (int64_t head = 0; head < heads; head++) {
      float *pairs = x + head * head_dim;
      for (int64_t i = 0; i < half; i++) {
        float first = pairs[i * step], second = pairs[i * step + partner];
        pairs[i * step] = first * cosines[i] - second * sines[i];
        pairs[i * step + partner] = second * cosines[i] + first * sines[i];
      }
    }
  }
}
