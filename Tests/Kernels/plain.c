/// What is bound by memory: elementwise, the same bits in every set and on every machine. Some of it has one variant, in plain C, and only its
/// digest is compared, with that of another machine.
#include "check.h"

static void adamw(void) {
  for (int64_t i = 0; i <= BOUNDARIES; i++) {
    int64_t count = i < BOUNDARIES ? boundaries[i] : 1000;
    dso_adamw step = {1e-3f, 0.9f, 0.999f, 1e-8f, 0.01f, 0.271f, 0.002997f, 0.37f};
    const float *gradient = floats(count, -1, 1);
    float *values = floats(count, -1, 1), *means = floats(count, -0.1f, 0.1f), *variances = floats(count, 0, 0.01f);
    dso_adamw_step(&step, gradient, values, means, variances, count);
    same("values", values, count * 4);
    same("means", means, count * 4);
    same("variances", variances, count * 4);
    double square = dso_gradient_square(gradient, count);
    same("square", &square, 8);
  }
}

static void adamw_u8(void) {
  dso_state_map maps[2];
  for (int i = 0; i < 256; i++) maps[0].values[i] = (float)(i - 128) / 128, maps[1].values[i] = (float)i * (float)i / 65025;
  for (int i = 0; i < 256; i++)
    for (int m = 0; m < 2; m++) maps[m].midpoints[i] = i < 255 ? (maps[m].values[i] + maps[m].values[i + 1]) / 2 : INFINITY;
  for (int64_t i = 0; i <= BOUNDARIES; i++) {
    int64_t count = i < BOUNDARIES ? boundaries[i] : 1000, blocks = (count + DSO_STATE_BLOCK - 1) / DSO_STATE_BLOCK;
    dso_adamw step = {1e-3f, 0.9f, 0.999f, 1e-8f, 0.01f, 0.271f, 0.002997f, 0.37f};
    float *values = floats(count, -1, 1), *mean_scales = floats(blocks, 0.01f, 0.1f), *variance_scales = floats(blocks, 0.001f, 0.01f);
    uint8_t *means = (uint8_t *)bytes(count), *variances = (uint8_t *)bytes(count);
    dso_adamw_step_u8(&step, maps, maps + 1, floats(count, -1, 1), values, means, mean_scales, variances, variance_scales, count);
    same("values", values, count * 4);
    same("means", means, count);
    same("mean scales", mean_scales, blocks * 4);
    same("variances", variances, count);
    same("variance scales", variance_scales, blocks * 4);
  }
}

static void hadamard(void) {
  static const int64_t shapes[][3] = {{1, 1, 5},     {64, 1, 192},    {12, 12, 12},    {96, 12, 192},   {40, 20, 80},  {2, 1, 6},
                                      {512, 1, 1024}, {16, 1, 208},   {1024, 1, 1024}, {192, 12, 384}, {28, 28, 56}, {768, 12, 768},
                                      {8, 1, 40},    {3584, 28, 3584}};
  for (int64_t i = 0; i < COUNT(shapes); i++) {
    int64_t size = shapes[i][0], order = shapes[i][1], n = shapes[i][2];
    float *base = floats(order * order, -1, 1), *signs = floats(n, -1, 1);
    for (int64_t j = 0; j < order * order; j++) base[j] = base[j] < 0 ? -1 : 1;
    for (int64_t j = 0; j < n; j++) signs[j] = signs[j] < 0 ? -1 : 1;
    dso_hadamard q = {size, order, base, signs};
    enum { ROWS = 3, COLUMNS = 37 };
    float *x = floats(ROWS * (n + 2) - 2, -2, 2), *y = floats(n * (COLUMNS + 1) - 1, -2, 2);
    about("order %lld, %lld of %lld", (long long)order, (long long)size, (long long)n);
    dso_hadamard_rows(&q, x, n + 2, ROWS, n);
    dso_hadamard_columns(&q, y, COLUMNS + 1, n, COLUMNS);
    same("rows", x, (ROWS * (n + 2) - 2) * 4);
    same("columns", y, (n * (COLUMNS + 1) - 1) * 4);
  }
}

static void elements(void) {
  for (int64_t i = 0; i < BOUNDARIES; i++) {
    int64_t count = boundaries[i];
    const float *q = floats(count, -2, 2), *factors = floats(count, -2, 2), *w = floats(count, -2, 2);
    float *out = blank(count), *x = floats(count, -2, 2);
    double *sums = take(count * 8), sum = dso_weighted_difference(q, w, 0.75f, count, out);
    same("difference", out, count * 4);
    same("sum", &sum, 8);
    dso_scaled_difference(q, factors, w, out, count);
    same("scaled difference", out, count * 4);
    for (int64_t j = 0; j < count; j++) sums[j] = (double)w[j];
    dso_add_products(q, factors, sums, count);
    same("products", sums, count * 8);
    dso_scale_elements(x, factors, 0.3f, count);
    same("scaled", x, count * 4);
    sum = dso_inner_product(q, w, count) + dso_sum_magnitudes(q, count);
    same("inner product", &sum, 8);
    uint8_t *codes = take(count);
    for (int64_t j = 0; j < count; j++) codes[j] = (uint8_t)between(0, 15);
    dso_subtract_codes(x, codes, count, 0.37f, -2, 4);
    same("without codes", x, count * 4);
    float *slopes = take(((count + 15) / 16) * 4);
    dso_code_slopes(codes, q, count, 16, 4, NULL, slopes);
    same("slopes", slopes, (count + 15) / 16 * 4);
  }
}

static void float8(void) {
  for (int64_t i = 0; i <= BOUNDARIES; i++) {
    enum { ROWS = 5 };
    int64_t columns = i < BOUNDARIES ? boundaries[i] : 600, block = i % 2 ? 128 : 20, blocks = (columns + block - 1) / block;
    const uint8_t *codes = (const uint8_t *)bytes(ROWS * columns);
    float *out = blank((ROWS - 1) * columns);
    about("%lld columns", (long long)columns);
    dso_dequantize_e4m3_blocks(codes, 1, ROWS, columns, floats(3 * blocks, 0.01f, 2), blocks, 2, block, out);
    same("weights", out, (ROWS - 1) * columns * 4);
  }
}

static void columns(void) {
  for (int64_t i = 0; i < BOUNDARIES; i++) {
    int64_t count = boundaries[i];
    float *most = floats(count, 0, 1);
    double *sums = take(count * 8), *squares = take(count * 8);
    memset(sums, 0, (size_t)count * 8), memset(squares, 0, (size_t)count * 8);
    const float *x = floats(7 * count + 18, -2, 2);
    dso_column_statistics(x, count + 3, 7, count, most, sums, squares);
    same("largest", most, count * 4);
    same("sums", sums, count * 8);
    same("squares", squares, count * 8);
    uint64_t *counts = take(DSO_MAGNITUDE_BINS * 8);
    memset(counts, 0, DSO_MAGNITUDE_BINS * 8);
    dso_count_magnitudes(x, count + 3, 7, count, counts);
    same("counts", counts, DSO_MAGNITUDE_BINS * 8);
  }
}

const kernel_case memory_cases[] = {
    {"dso_adamw_step", adamw}, {"dso_dequantize_e4m3_blocks", float8}, {"dso_hadamard_rows", hadamard}, {NULL, NULL}};
static void small_floats(void) {
  for (int64_t i = 0; i <= BOUNDARIES; i++) {
    int64_t count = i < BOUNDARIES ? boundaries[i] : 1000, whole = (count + 15) / 16 * 16;
    float *x = floats(whole, -3, 3), *y = floats(whole, 0, 1);
    uint8_t *codes = (uint8_t *)bytes(whole), *scales = (uint8_t *)bytes(whole / 16);
    dso_round_to_e4m3(x, count, 0.0123f, codes);
    same("eight bits", codes, count);
    dso_nvfp4_search search = {2688 / 3.0f, 0};
    dso_quantize_nvfp4_row(&search, x, y, whole, codes, scales);
    same("four bits", codes, whole);
    same("scales", scales, whole / 16);
    dso_fake_quantize_rows_e4m3(x, count, 1, count, 48, y, count);
    same("activations", y, count * 4);
  }
}

const kernel_case plain_cases[] = {
    {"dso_adamw_step_u8", adamw_u8}, {"elements", elements}, {"dso_column_statistics", columns}, {"small floats", small_floats}, {NULL, NULL}};
