#include <string.h>

#include "../include/Heads.h"

void dso_copy_heads(const float *x, int64_t ld, int64_t x_step, float *out, int64_t ldo, int64_t out_step, int64_t rows, int64_t heads,
                    int64_t width, int32_t add) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t h = 0; h < heads; h++) {
      const float *source = x + r * ld + h * x_step;
      float *target = out + r * ldo + h * out_step;
      if (!add)
        memcpy(target, source, (size_t)width * sizeof(float));
      else
        for (int64_t c = 0; c < width; c++) target[c] += source[c];
    }
}
