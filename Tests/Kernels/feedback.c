/// Rounding with feedback and coordinate descent. One rounding at a boundary changes all that follows, so targets are checked from the kernel's
/// own earlier errors, in double.
#include "check.h"

/// Rows and columns; rows are a multiple of 16 where there is feedback between columns only.
static const int64_t sizes[][2] = {{16, 1}, {32, 128}, {80, 57}, {48, 96}};
static const int64_t any_sizes[][2] = {{1, 1}, {16, 128}, {37, 57}, {96, 31}, {127, 5}, {15, 17}, {17, 15}, {33, 8}};

typedef struct {
  int64_t rows, columns, ld;
  int bits;
  int32_t *groups;
  float *scales, *zeros, *m, *pivots;
  const float *levels;
} grid_of_tile;

/// Widths, and levels of four bits in the place of whole numbers: two of them the same, and uneven ones.
static const struct {
  int bits;
  float levels[16];
} forms[] = {{2, {0}}, {3, {0}}, {4, {0}}, {8, {0}}, {4, {-6, -4, -3, -2, -1.5f, -1, -0.5f, 0, 0, 0.5f, 1, 1.5f, 2, 3, 4, 6}},
             {4, {-13, -10.4f, -8.3f, -6.5f, -4.9f, -3.5f, -2.2f, -1, 0.1f, 1.3f, 2.5f, 3.8f, 5.3f, 6.9f, 8.9f, 11.3f}}};

static grid_of_tile tile_of(int64_t rows, int64_t columns, int64_t ld, int form, float low, float high) {
  enum { GROUPS = 3 };
  int bits = forms[form].bits;
  int half = 1 << (bits - 1);
  grid_of_tile t = {rows, columns, ld, bits, take(columns * 4), floats(GROUPS * ld, low, high), take(GROUPS * ld * 4),
                    floats(columns * columns, -0.1f, 0.1f), floats(columns, 0.5f, 2), forms[form].levels[0] < 0 ? forms[form].levels : NULL};
  for (int64_t i = 0; i < GROUPS * ld; i++) t.zeros[i] = (float)between(-half, half - 1), t.scales[i] *= i % 3 == 0 ? -1 : 1;
  for (int64_t p = 0; p < columns; p++) t.groups[p] = (int32_t)between(0, GROUPS - 1);
  about("%lldx%lld, %d bits%s", (long long)rows, (long long)columns, bits, t.levels ? ", levels" : "");
  return t;
}

/// A code against the place where it should be; its value. Counts what lies beyond the codes by more than rounding.
static double check_code(const grid_of_tile *t, int64_t p, int64_t r, uint8_t code, double target, int64_t *clamped) {
  double half = 1 << (t->bits - 1), scale = t->scales[t->groups[p] * t->ld + r], zero = t->zeros[t->groups[p] * t->ld + r];
  double low = -half - zero, high = half - 1 - zero, steps = target / scale, found = code - half - zero;
  if (t->levels) {
    const float *levels = t->levels;
    *clamped += steps < levels[0] - (levels[1] - levels[0]) / 2 || steps > levels[15] + (levels[15] - levels[14]) / 2;
    double least = INFINITY;
    for (int i = 0; i < 16; i++) least = fmin(least, fabs(steps - levels[i]));
    expect(code < 16 && fabs(steps - levels[code & 15]) <= least + 1e-3, "not the nearest level");
    return levels[code & 15] * scale;
  }
  *clamped += steps < low - 0.5 || steps > high + 0.5;
  double place = steps < low ? low : steps > high ? high : steps;
  expect(found >= low && found <= high && fabs(place - found) <= 0.5 + 1e-3, "a code far from its target");
  return found * scale;
}

static void with_feedback(void) {
  for (int way = 0; way < 2 * COUNT(forms) * COUNT(sizes); way++) {
    int64_t place = way / (2 * COUNT(forms)), rows = sizes[place][0], columns = sizes[place][1], ld = rows + 16, size = columns * ld - 16;
    grid_of_tile t = tile_of(rows, columns, ld, way / 2 % COUNT(forms), 0.1f, 0.6f);
    const float *weights = floats(size, -2, 2), *fed = floats(size, -0.1f, 0.1f), *damping = floats(columns, 0, 0.1f);
    float *errors = copy_of(weights, size * 4);
    uint8_t *codes = take(size);
    memset(codes, 0xaa, (size_t)size);
    double *losses = take(rows * 8);
    for (int64_t r = 0; r < rows; r++) losses[r] = 1;
    dso_feedback_step step = {rows, columns, ld, errors, fed, way % 2 ? t.m : NULL, columns, t.groups, t.scales, t.zeros, ld, t.bits,
                              t.pivots, damping, codes, losses, t.levels};
    int64_t clamped = dso_round_with_feedback(&step), expected = 0;
    for (int64_t r = 0; r < rows; r++) {
      double loss = 1;
      for (int64_t p = 0; p < columns; p++) {
        int64_t at = p * ld + r;
        double target = (double)weights[at] + fed[at];
        for (int64_t s = 0; s < p && way % 2; s++) target += (double)t.m[p * columns + s] * errors[s * ld + r];
        double value = check_code(&t, p, r, codes[at], target, &expected), error = weights[at] - value;
        expect(fabs(errors[at] - error) < 1e-4, "an error");
        loss += t.pivots[p] * (target - value) * (target - value) - damping[p] * error * error;
      }
      expect(fabs(losses[r] - loss) < 1e-3 * fmax(1, fabs(loss)), "a loss");
    }
    expect(llabs(clamped - expected) <= 1, "how many were clamped");
    for (int64_t at = 0; at < size; at++) expect(at % ld < rows || codes[at] == 0xaa, "a code of a row that is not there");
  }
}

static void two_sided(void) {
  for (int way = 0; way < COUNT(forms) * COUNT(any_sizes); way++) {
    int64_t place = way / COUNT(forms), rows = any_sizes[place][0], columns = any_sizes[place][1], ld = rows + 5, size = columns * ld - 5;
    grid_of_tile t = tile_of(rows, columns, ld, way % COUNT(forms), 0.1f, 0.6f);
    const float *weights = floats(size, -2, 2), *sums = floats(size, -0.2f, 0.2f), *fed = floats(columns * rows, -0.2f, 0.2f);
    const float *row_m = floats(rows * rows, -0.1f, 0.1f), *row_pivots = floats(rows, 0.5f, 2);
    float *errors = copy_of(weights, size * 4), *totals = copy_of(sums, size * 4);
    uint8_t *codes = take(size);
    memset(codes, 0xaa, (size_t)size);
    double *losses = take(rows * 8), *expected_losses = take(rows * 8), *so_far = take(rows * 8);
    for (int64_t r = 0; r < rows; r++) losses[r] = expected_losses[r] = 1;
    dso_two_sided_step step = {rows, columns, ld, errors, totals, fed, rows, t.m, columns, row_m, rows, t.groups, t.scales, t.zeros, ld,
                               t.bits, t.pivots, row_pivots, codes, losses, t.levels};
    int64_t clamped = dso_round_two_sided(&step), expected = 0;
    for (int64_t p = 0; p < columns; p++) {
      for (int64_t r = 0; r < rows; r++) {
        int64_t at = p * ld + r;
        double sum = sums[at], spread = fed[p * rows + r];
        for (int64_t s = 0; s < p; s++) sum += (double)t.m[p * columns + s] * errors[s * ld + r];
        for (int64_t a = 0; a < r; a++) spread += row_m[a * rows + r] * so_far[a];
        double target = weights[at] + sum + spread, value = check_code(&t, p, r, codes[at], target, &expected);
        expect(fabs(errors[at] - (weights[at] - value)) < 1e-4, "an error");
        expect(fabs(totals[at] - (sum + errors[at])) < 1e-3, "a sum");
        so_far[r] = sum + errors[at];
        expected_losses[r] += (double)row_pivots[r] * t.pivots[p] * (target - value) * (target - value);
      }
    }
    for (int64_t r = 0; r < rows; r++) expect(fabs(losses[r] / expected_losses[r] - 1) < 1e-3, "a loss");
    expect(llabs(clamped - expected) <= 1, "how many were clamped");
    for (int64_t at = 0; at < size; at++) expect(at % ld < rows || (codes[at] == 0xaa && errors[at] == weights[at]), "a row that is not there");
  }
}

static float *symmetric(int64_t n) {
  float *x = floats(n * n, -0.2f, 0.2f);
  for (int64_t i = 0; i < n; i++) {
    x[i * n + i] = 1 + fabsf(x[i * n + i]);
    for (int64_t j = 0; j < i; j++) x[i * n + j] = x[j * n + i];
  }
  return x;
}

static void descend(void) {
  for (int way = 0; way < 8 * COUNT(any_sizes); way++) {
    int64_t rows = any_sizes[way / 8][0], columns = any_sizes[way / 8][1], ld = (rows + 15) / 16 * 16, size = columns * ld;
    grid_of_tile t = tile_of(rows, columns, ld, way / 2 % 4, 0.3f, 0.9f);
    int most = (1 << t.bits) - 1;
    const float *h = symmetric(columns), *g = way % 2 ? symmetric(rows) : NULL, *start = floats(size, -0.4f, 0.4f);
    float *products = copy_of(start, size * 4), *changes = floats(size, 9, 9);
    uint8_t *codes = take(size);
    for (int64_t i = 0; i < size; i++) codes[i] = (uint8_t)between(0, most);
    const uint8_t *before = copy_of(codes, size);
    double *gains = take(rows * 8), *expected = take(rows * 8), *spread = take(columns * rows * 8);
    for (int64_t r = 0; r < rows; r++) gains[r] = expected[r] = 1;
    memset(spread, 0, (size_t)(columns * rows * 8));
    dso_descent_step step = {rows, columns, products, ld, h, columns, g, rows, t.groups, t.scales, ld, t.bits, codes, changes, ld, gains};
    int64_t moved = dso_descend_tile(&step), expected_moved = 0;
    for (int64_t p = 0; p < columns; p++) {
      for (int64_t r = 0; r < rows; r++) {
        int64_t at = p * ld + r;
        double scale = t.scales[t.groups[p] * ld + r], curvature = (g ? g[r * rows + r] : 1) * (double)h[p * columns + p];
        double slope = start[at], change = changes[at], move = (double)codes[at] - before[at];
        for (int64_t s = 0; s <= p; s++) slope += h[p * columns + s] * spread[s * rows + r];
        double steps = slope / (curvature * scale), best = fmin(fmax(before[at] + steps, 0), most);
        expect(fabs(change + move * scale) < 1e-5 * (1 + most), "a change that is not that of the code");
        expect(fabs(codes[at] - best) <= 0.501 + 1e-3, "a code far from its best place");
        if (move == 0) continue;
        expected_moved++;
        expected[r] += -change * (2 * slope + change * curvature);
        for (int64_t i = 0; i < rows; i++) spread[p * rows + i] += change * (g ? g[r * rows + i] : i == r);
      }
    }
    expect(moved == expected_moved, "how many moved");
    for (int64_t r = 0; r < rows; r++) expect(fabs(gains[r] / expected[r] - 1) < 1e-3, "a gain");
    for (int64_t at = 0; at < size; at++) expect(at % ld < rows || (codes[at] == before[at] && changes[at] == 9), "a row that is not there");
  }
}

const kernel_case feedback_cases[] = {
    {"dso_round_with_feedback", with_feedback}, {"dso_round_two_sided", two_sided}, {"dso_descend_tile", descend}, {NULL, NULL}};
