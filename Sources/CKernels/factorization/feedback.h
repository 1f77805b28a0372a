/// Solving and rounding with feedback, for the variant whose vectors are included before this file.
#ifndef DSO_FEEDBACK_H
#define DSO_FEEDBACK_H

#include <math.h>
#include <string.h>

#include "../quantization/codes.h"
#include "../vectors/levels.h"
#include "blocking.h"
#include "steps.h"

/// Widest strip in vectors.
enum { WIDE = DSO_STRIP / LANES < 4 ? DSO_STRIP / LANES : 4, WIDTH = WIDE * LANES };

/// The sum of factors[s] times row s of `rows` (WIDTH apart), s below count: even and odd s by themselves, then both.
INLINE void sum_rows(int vectors, const float *factors, const float *rows, int64_t count, VF sums[WIDE]) {
  VF odd[WIDE];
  for (int v = 0; v < vectors; v++) sums[v] = odd[v] = vf_zero();
  int64_t s = 0;
  for (; s + 2 <= count; s += 2, rows += 2 * WIDTH) {
    VF one = vf_set(factors[s]), other = vf_set(factors[s + 1]);
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      sums[v] = vf_fma(one, vf_load(rows + v * LANES), sums[v]);
      odd[v] = vf_fma(other, vf_load(rows + WIDTH + v * LANES), odd[v]);
    }
  }
  if (s < count)
    for (int v = 0; v < vectors; v++) sums[v] = vf_fma(vf_set(factors[s]), vf_load(rows + v * LANES), sums[v]);
  for (int v = 0; v < vectors; v++) sums[v] = vf_add(sums[v], odd[v]);
}

void DSO_KERNEL(solve_panel)(float *b, int64_t ldb, int64_t rows, const float *transposed, const float *pivots, int64_t j_begin,
                             int64_t j_end) {
  float solved[DSO_FACTOR_ROWS * WIDTH] __attribute__((aligned(64)));
  for (int64_t j = j_begin; j < j_end; j += WIDTH) {
    int64_t width = dso_min_i64(WIDTH, j_end - j);
    for (int64_t i = rows - 1; i >= 0; i--) {
      float *own = solved + i * WIDTH, *at = b + i * ldb + j;
      VF sums[WIDE], pivot = vf_set(pivots[i]);
      sum_rows(WIDE, transposed + i * rows + i + 1, own + WIDTH, rows - i - 1, sums);
      for (int v = 0; v < WIDE; v++) {
        int64_t left = width - v * LANES;
        VF value = vf_sub(left >= LANES ? vf_load(at + v * LANES) : left > 0 ? vf_load_n(at + v * LANES, left) : vf_zero(), sums[v]);
        vf_store(own + v * LANES, value);
        if (left >= LANES) {
          vf_store(at + v * LANES, vf_div(value, pivot));
        } else if (left > 0) {
          vf_store_n(at + v * LANES, vf_div(value, pivot), left);
        }
      }
    }
  }
}

/// `vectors` vectors of rows from row r on.
INLINE int64_t round_strip(int vectors, const dso_feedback_step *step, int64_t r, float *errors) {
  int half = 1 << (step->bits - 1);
  VF lowest = vf_set((float)-half), highest = vf_set((float)(half - 1)), step_half = vf_set(0.5f), losses[WIDE];
  const float *levels = step->levels;
  VI offset = vi_set(levels ? 0 : half);
  int64_t clamped = 0;
  for (int v = 0; v < vectors; v++) losses[v] = vf_zero();
  for (int64_t p = 0; p < step->columns; p++) {
    VF sums[WIDE], pivot = vf_set(step->pivots[p]), damping = vf_set(step->damping[p]);
    sum_rows(vectors, step->m ? step->m + p * step->ldm : NULL, errors, step->m ? p : 0, sums);
    int64_t at = p * step->ld + r, grid = step->groups[p] * step->ldg + r;
    for (int v = 0; v < vectors; v++, at += LANES, grid += LANES) {
      VF weight = vf_load(step->weights + at), scale = vf_load(step->scales + grid), zero = vf_load(step->zero_points + grid);
      VF target = vf_add(vf_add(weight, vf_load(step->feedback + at)), sums[v]), steps = vf_div(target, scale);
      VF rounded, code;
      if (levels) {
        clamped += vf_outside(steps, vf_set(dso_below_levels(levels)), vf_set(dso_above_levels(levels)), LANES);
        rounded = nearest_level(steps, levels);
        code = nearest_level_index(steps, levels);
      } else {
        VF low = vf_sub(lowest, zero), high = vf_sub(highest, zero);
        clamped += vf_outside(steps, vf_sub(low, step_half), vf_add(high, step_half), LANES);
        rounded = vf_min(vf_max(vf_round(steps), low), high);
        code = vf_add(rounded, zero);
      }
      VF value = vf_mul(rounded, scale);
      vi_store_8(step->codes + at, vi_add(vi_of_vf(code), offset));
      VF off = vf_sub(target, value), error = vf_sub(weight, value);
      vf_store(errors + p * WIDTH + v * LANES, error);
      vf_store(step->weights + at, error);
      losses[v] = vf_fma(vf_mul(pivot, off), off, losses[v]);
      losses[v] = vf_fnma(vf_mul(damping, error), error, losses[v]);
    }
  }
  for (int v = 0; v < vectors; v++, r += LANES) {
    float sums[LANES];
    vf_store(sums, losses[v]);
    for (int i = 0; i < LANES; i++) step->losses[r + i] += (double)sums[i];
  }
  return clamped;
}

int64_t DSO_KERNEL(round_with_feedback)(const dso_feedback_step *step) {
  float errors[DSO_FEEDBACK_COLUMNS * WIDTH] __attribute__((aligned(64)));
  int64_t r = 0, clamped = 0;
  for (; r + WIDTH <= step->rows; r += WIDTH) clamped += round_strip(WIDE, step, r, errors);
  for (; r + LANES <= step->rows; r += LANES) clamped += round_strip(1, step, r, errors);
  return clamped;
}

int64_t DSO_KERNEL(round_two_sided)(const dso_two_sided_step *step) {
  enum { MOST = DSO_FEEDBACK_COLUMNS };
  float base[MOST] __attribute__((aligned(64))), spread[MOST] __attribute__((aligned(64)));
  int64_t rows = step->rows, clamped = 0;
  float half = (float)(1 << (step->bits - 1));
  for (int64_t p = 0; p < step->columns; p++) {
    const float *factors = step->m + p * step->ldm;
    float *weights = step->weights + p * step->ld, *out = step->sums + p * step->ld;
    for (int64_t r = 0; r < rows; r += LANES) {
      int64_t left = rows - r;
      VF sum = vf_zero(), odd = vf_zero();
      const float *errors = step->weights + r;
      if (left >= LANES) {
        int64_t s = 0;
        for (; s + 2 <= p; s += 2) {
          sum = vf_fma(vf_set(factors[s]), vf_load(errors + s * step->ld), sum);
          odd = vf_fma(vf_set(factors[s + 1]), vf_load(errors + (s + 1) * step->ld), odd);
        }
        if (s < p) sum = vf_fma(vf_set(factors[s]), vf_load(errors + s * step->ld), sum);
        vf_store(base + r, vf_add(vf_add(sum, odd), vf_load(out + r)));
        vf_store(spread + r, vf_load(step->row_feedback + p * step->ld_row_feedback + r));
      } else {
        for (int64_t s = 0; s < p; s++) sum = vf_fma(vf_set(factors[s]), vf_load_n(errors + s * step->ld, left), sum);
        vf_store(base + r, vf_add(sum, vf_load_n(out + r, left)));
        vf_store(spread + r, vf_load_n(step->row_feedback + p * step->ld_row_feedback + r, left));
      }
    }
    const float *scales = step->scales + step->groups[p] * step->ldg, *zeros = step->zero_points + step->groups[p] * step->ldg;
    float pivot = step->pivots[p];
    uint8_t *codes = step->codes + p * step->ld;
    for (int64_t r = 0; r < rows; r++) {
      float weight = weights[r], target = weight + base[r] + spread[r], scale = scales[r], zero = zeros[r];
      float rounded;
      clamped += dso_round_steps(target / scale, step->levels, zero, half, &rounded, codes + r);
      float value = rounded * scale, off = target - value, error = weight - value, total = base[r] + error;
      weights[r] = error;
      out[r] = total;
      step->losses[r] += (double)step->row_pivots[r] * pivot * off * off;
      // Rows that were rounded already are written too: nothing reads them again.
      const float *row = step->row_m + r * step->ld_row_m;
      VF factor = vf_set(total);
      for (int64_t v = (r + 1) / LANES * LANES; v < rows; v += LANES) {
        VF spreading = rows - v >= LANES ? vf_load(row + v) : vf_load_n(row + v, rows - v);
        vf_store(spread + v, vf_fma(factor, spreading, vf_load(spread + v)));
      }
    }
  }
  return clamped;
}

#endif
