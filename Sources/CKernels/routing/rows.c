#include <string.h>

#include "../dispatch/contraction.h"
#include "../include/Routing.h"

void dso_gather_rows(const float *x, int64_t ld, const int32_t *indices, int64_t count, int64_t columns, float *out, int64_t ldo) {
  for (int64_t i = 0; i < count; i++) memcpy(out + i * ldo, x + indices[i] * ld, (size_t)columns * sizeof(float));
}

void dso_scatter_rows(const float *x, int64_t ld, const int32_t *indices, int64_t count, int64_t columns, float *out, int64_t ldo) {
  for (int64_t i = 0; i < count; i++) {
    float *target = out + indices[i] * ldo;
    const float *source = x + i * ld;
    for (int64_t c = 0; c < columns; c++) target[c] += source[c];
  }
}

void dso_combine_rows(const float *const *outputs, const int32_t *chosen, const int32_t *places, const float *weights, int64_t rows,
                      int64_t selected, int64_t columns, float *out, int64_t ldo) {
  for (int64_t r = 0; r < rows; r++) {
    float *target = out + r * ldo;
    for (int64_t s = 0; s < selected; s++) {
      const float *source = outputs[chosen[r * selected + s]] + places[r * selected + s] * columns;
      float weight = weights[r * selected + s];
      if (s == 0)
        for (int64_t c = 0; c < columns; c++) target[c] = weight * source[c];
      else
        for (int64_t c = 0; c < columns; c++) target[c] += weight * source[c];
    }
  }
}

void dso_combine_rows_backward(const float *const *outputs, const int32_t *chosen, const int32_t *places, const float *weights,
                               int64_t rows, int64_t selected, int64_t columns, const float *gradient, int64_t ldg,
                               float *const *output_gradients, float *weight_gradients) {
  for (int64_t r = 0; r < rows; r++) {
    const float *given = gradient + r * ldg;
    for (int64_t s = 0; s < selected; s++) {
      int64_t at = r * selected + s;
      if (output_gradients[chosen[at]]) {
        float *target = output_gradients[chosen[at]] + places[at] * columns;
        for (int64_t c = 0; c < columns; c++) target[c] = weights[at] * given[c];
      }
      if (weight_gradients) {
        const float *source = outputs[chosen[at]] + places[at] * columns;
        double sum = 0;
        for (int64_t c = 0; c < columns; c++) sum += (double)given[c] * source[c];
        weight_gradients[at] = (float)sum;
      }
    }
  }
}
