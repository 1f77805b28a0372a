/// Products over rows, solving, and rounding with feedback: portable.
#include <math.h>
#include <string.h>

#include "../dispatch/kernel_table.h"
#include "../quantization/codes.h"
#include "blocking.h"
#include "steps.h"

int64_t dso_outer_scratch_bytes(void) { return 4 * (int64_t)(DSO_OUTER_ROW_FLOATS + DSO_OUTER_COLUMN_FLOATS); }
int64_t dso_outer_tile_rows(void) { return DSO_OUTER_ROWS; }
int64_t dso_outer_tile_columns(void) { return DSO_OUTER_COLUMNS; }

void dso_portable_accumulate_outer(const dso_outer_product *p, int64_t i_begin, int64_t i_end, int64_t j_begin, int64_t j_end,
                                   void *scratch) {
  float *sums = scratch;
  for (int64_t begin = 0; begin < p->depth; begin += DSO_OUTER_DEPTH) {
    int64_t end = dso_min_i64(p->depth, begin + DSO_OUTER_DEPTH);
    for (int64_t i = i_begin; i < i_end; i++) {
      for (int64_t j = j_begin; j < j_end; j += DSO_OUTER_COLUMNS) {
        int64_t count = dso_min_i64(j_end - j, DSO_OUTER_COLUMNS);
        if (p->lower) count = dso_min_i64(count, i + 1 - j);
        if (count <= 0) break;
        memset(sums, 0, (size_t)count * sizeof *sums);
        for (int64_t t = begin; t < end; t++) {
          float x = p->x_by_rows ? p->x[i * p->ldx + t] : p->x[t * p->ldx + i];
          if (p->weights) x *= p->weights[t];
          const float *y = p->y + t * p->ldy + j;
          for (int64_t c = 0; c < count; c++) sums[c] += x * y[c];
        }
        float *to = p->c + i * p->ldc + j;
        for (int64_t c = 0; c < count; c++) to[c] += sums[c];
      }
    }
  }
}

void dso_portable_solve_panel(float *b, int64_t ldb, int64_t rows, const float *transposed, const float *pivots, int64_t j_begin,
                              int64_t j_end) {
  float solved[DSO_FACTOR_ROWS * DSO_STRIP];
  for (int64_t j = j_begin; j < j_end; j += DSO_STRIP) {
    int64_t width = dso_min_i64(DSO_STRIP, j_end - j);
    for (int64_t i = rows - 1; i >= 0; i--) {
      float sums[DSO_STRIP] = {0}, *own = solved + i * DSO_STRIP;
      for (int64_t s = i + 1; s < rows; s++)
        for (int64_t c = 0; c < width; c++) sums[c] += transposed[i * rows + s] * solved[s * DSO_STRIP + c];
      for (int64_t c = 0; c < width; c++) {
        own[c] = b[i * ldb + j + c] - sums[c];
        b[i * ldb + j + c] = own[c] / pivots[i];
      }
    }
  }
}

int64_t dso_portable_round_with_feedback(const dso_feedback_step *step) {
  float half = (float)(1 << (step->bits - 1)), errors[DSO_FEEDBACK_COLUMNS];
  int64_t clamped = 0;
  for (int64_t r = 0; r < step->rows; r++) {
    double loss = 0;
    for (int64_t p = 0; p < step->columns; p++) {
      int64_t at = p * step->ld + r, grid = step->groups[p] * step->ldg + r;
      float sum = 0;
      for (int64_t s = 0; step->m && s < p; s++) sum += step->m[p * step->ldm + s] * errors[s];
      float weight = step->weights[at], target = weight + step->feedback[at] + sum;
      float scale = step->scales[grid], zero = step->zero_points[grid];
      float rounded;
      clamped += dso_round_steps(target / scale, step->levels, zero, half, &rounded, step->codes + at);
      float value = rounded * scale, off = target - value;
      errors[p] = weight - value;
      step->weights[at] = errors[p];
      loss += (double)step->pivots[p] * off * off - (double)step->damping[p] * errors[p] * errors[p];
    }
    step->losses[r] += loss;
  }
  return clamped;
}

int64_t dso_portable_descend_tile(const dso_descent_step *step) {
  int most = (1 << step->bits) - 1;
  float spread[DSO_FEEDBACK_COLUMNS], changes[DSO_FEEDBACK_COLUMNS];
  int64_t rows = step->rows, moved = 0;
  for (int64_t p = 0; p < step->columns; p++) {
    float *products = step->products + p * step->ld_products, pivot = step->h[p * step->ldh + p];
    // Columns before this one hold G times their changes instead of their products.
    for (int64_t s = 0; s < p; s++)
      for (int64_t r = 0; r < rows; r++) products[r] += step->h[p * step->ldh + s] * step->products[s * step->ld_products + r];
    memset(spread, 0, sizeof spread);
    memset(changes, 0, sizeof changes);
    const float *scales = step->scales + step->groups[p] * step->ld_scales;
    uint8_t *codes = step->codes + p * step->ld;
    for (int64_t r = 0; r < rows; r++) {
      float curvature = (step->g ? step->g[r * step->ldg + r] : 1) * pivot * scales[r];
      float steps = (products[r] + pivot * spread[r]) / curvature;
      if (!(fabsf(steps) > DSO_DESCENT_LIMIT && fabsf(steps) < 1e30f)) continue;
      float code = codes[r] + rintf(steps);
      code = code > 0 ? code : 0;
      code = code < (float)most ? code : (float)most;
      float move = code - codes[r], change = -move * scales[r];
      if (move == 0) continue;
      codes[r] = (uint8_t)(int)code;
      changes[r] = change;
      step->gains[r] += (double)curvature * scales[r] * move * (2.0 * steps - move);
      moved++;
      if (!step->g) spread[r] = change;
      for (int64_t i = 0; step->g && i < rows; i++) spread[i] += change * step->g[r * step->ldg + i];
    }
    memcpy(products, spread, (size_t)rows * sizeof *products);
    memcpy(step->changes + p * step->ld, changes, (size_t)rows * sizeof *changes);
  }
  return moved;
}

int64_t dso_portable_round_two_sided(const dso_two_sided_step *step) {
  float half = (float)(1 << (step->bits - 1)), rows[DSO_FEEDBACK_COLUMNS];
  int64_t clamped = 0;
  for (int64_t p = 0; p < step->columns; p++) {
    for (int64_t r = 0; r < step->rows; r++) {
      int64_t at = p * step->ld + r, grid = step->groups[p] * step->ldg + r;
      float sum = 0, spread = 0;
      for (int64_t s = 0; s < p; s++) sum += step->m[p * step->ldm + s] * step->weights[s * step->ld + r];
      for (int64_t a = 0; a < r; a++) spread += step->row_m[a * step->ld_row_m + r] * rows[a];
      sum += step->sums[at];
      float weight = step->weights[at], target = weight + sum + (step->row_feedback[p * step->ld_row_feedback + r] + spread);
      float scale = step->scales[grid], zero = step->zero_points[grid];
      float rounded;
      clamped += dso_round_steps(target / scale, step->levels, zero, half, &rounded, step->codes + at);
      float value = rounded * scale, off = target - value;
      step->weights[at] = weight - value;
      step->sums[at] = rows[r] = sum + (weight - value);
      step->losses[r] += (double)step->row_pivots[r] * step->pivots[p] * off * off;
    }
  }
  return clamped;
}
