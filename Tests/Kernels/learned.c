/// Rounding that is learned, and learned step sizes: the same bits in every set.
#include "check.h"

static const int64_t sizes[][2] = {{1, 1}, {16, 16}, {48, 16}, {100, 32}, {129, 128}, {256, 64}, {77, 77}, {60, 20}, {65, 7},
                                   {7, 7},   {8, 8},   {15, 15},  {17, 8},   {31, 31},   {32, 32},  {33, 16}};

static float *whole_numbers(int64_t count, float limit) {
  float *x = floats(count, -limit, limit);
  for (int64_t i = 0; i < count; i++) x[i] = rintf(x[i]);
  return x;
}

/// Scales narrow enough that some weights are clamped, of both signs.
static float *scales_of(int64_t groups, int half) {
  float *x = floats(groups, 0.5f, 1);
  for (int64_t i = 0; i < groups; i++) x[i] /= (float)(i % 2 ? -half : half);
  return x;
}

static dso_learned_row row_of(int64_t count, int64_t group, int bits, int type) {
  int64_t groups = (count + group - 1) / group;
  int half = 1 << (bits - 1);
  dso_learned_row row = {count, group, bits, (dso_scale_type)type, floats(count, -1, 1), floats(count, -0.5f, 0.5f),
                         floats(groups, 0.6f, 1.4f), bits % 2 ? NULL : floats(groups, -1, 1), scales_of(groups, half),
                         whole_numbers(groups, (float)half / 2), blank(groups), blank(groups)};
  for (int64_t i = 0; i < groups; i++) row.scales[i] = 1, row.zeros[i] = 0;
  return row;
}

static void learned(int update) {
  for (int bits = 2; bits <= 8; bits++) {
    for (int64_t i = 0; i < COUNT(sizes); i++) {
      int64_t count = sizes[i][0], groups = (count + sizes[i][1] - 1) / sizes[i][1];
      about("%lld by %lld, %d bits", (long long)count, (long long)sizes[i][1], bits);
      dso_learned_row row = row_of(count, sizes[i][1], bits, (int)(i % 3));
      float *values = blank(count), *gradient = floats(count, -1, 1);
      uint8_t *codes = take(count);
      if (count > 3) gradient[3] = 0;
      int64_t clamped = dso_learned_round(&row, i % 2 ? values : NULL, i % 2 ? NULL : codes);
      if (update) {
        dso_learned_update(&row, gradient, (dso_learned_rates){0.03f, 0.02f, 0.05f, 0.5f});
        same("offsets", row.offsets, count * 4);
        same("factors", row.factors, groups * 4);
        if (row.shifts) same("shifts", row.shifts, groups * 4);
      } else {
        same("values", values, count * 4);
        if (i % 2 == 0) same("codes", codes, count);
        same("scales", row.scales, groups * 4);
        same("zeros", row.zeros, groups * 4);
        same("clamped", &clamped, 8);
      }
    }
  }
}

static void learned_round(void) { learned(0); }
static void learned_update(void) { learned(1); }

static void steps(int back) {
  for (int bits = 2; bits <= 8; bits++) {
    for (int64_t i = 0; i < COUNT(sizes); i++) {
      int64_t count = sizes[i][0], groups = (count + sizes[i][1] - 1) / sizes[i][1];
      int half = 1 << (bits - 1);
      about("%lld by %lld, %d bits", (long long)count, (long long)sizes[i][1], bits);
      dso_step_row row = {count, sizes[i][1], bits, (dso_scale_type)(i % 3), floats(count, -1, 1), scales_of(groups, half),
                          bits % 2 ? NULL : whole_numbers(groups, (float)half / 2), blank(groups)};
      float *values = blank(count), *gradient = floats(count, -1, 1), *slopes = blank(groups);
      uint8_t *codes = take(count);
      int64_t clamped = dso_step_round(&row, values, i % 2 ? NULL : codes);
      if (back) {
        dso_step_backward(&row, gradient, slopes);
        same("gradient", gradient, count * 4);
        same("slopes", slopes, groups * 4);
      } else {
        same("values", values, count * 4);
        same("stored", row.stored, groups * 4);
        if (i % 2 == 0) same("codes", codes, count);
        same("clamped", &clamped, 8);
      }
    }
  }
}

static void step_round(void) { steps(0); }
static void step_backward(void) { steps(1); }

const kernel_case learned_cases[] = {{"dso_learned_round", learned_round},
                                     {"dso_learned_update", learned_update},
                                     {"dso_step_round", step_round},
                                     {"dso_step_backward", step_backward},
                                     {NULL, NULL}};
