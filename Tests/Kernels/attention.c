/// Attention over floats and over a quantized cache, and its gradient.
#include "check.h"

typedef struct {
  int64_t queries, cached, head_dim, v_dim, window, hidden;
} attention;

static const attention shapes[] = {
    {5, 300, 80, 80, 0, 0},    {40, 17, 33, 7, 0, 0},   {70, 0, 192, 128, 0, 0}, {129, 65, 16, 16, 50, 0}, {160, 0, 32, 32, 128, 0},
    {3, 200, 64, 64, 1, 0},    {20, 200, 96, 96, 150, 0}, {9, 0, 64, 64, 0, 4},  {2, 0, 64, 64, 0, 1},     {4, 129, 5, 3, 0, 0},
};

/// The boundaries as queries, then as keys of one query, then the list.
static attention shape_at(int64_t i) {
  if (i < BOUNDARIES) return (attention){boundaries[i], 0, 64, 64, 0, 0};
  if (i < 2 * BOUNDARIES) return (attention){1, boundaries[i - BOUNDARIES] * 3, 128, 128, 0, 0};
  return shapes[i - 2 * BOUNDARIES];
}

static void describe(attention s) {
  about("queries %lld cached %lld dims %lld %lld window %lld hidden %lld", (long long)s.queries, (long long)s.cached, (long long)s.head_dim,
        (long long)s.v_dim, (long long)s.window, (long long)s.hidden);
}

static float *attend(attention s, const float *q, const float *k, const float *v, int64_t queries, int64_t offset, int64_t ld) {
  float *out = blank(queries * (s.v_dim + ld) - ld);
  dso_attention(q, s.head_dim + ld, k, s.head_dim + ld, v, s.v_dim + ld, out, s.v_dim + ld, queries, s.queries + s.cached - s.hidden, offset,
                s.head_dim, s.v_dim, 1 / sqrtf((float)s.head_dim), s.window,
                scratch_of(dso_attention_scratch_bytes(s.head_dim, s.v_dim)));
  return out;
}

static void plain(void) {
  for (int64_t i = 0; i < 2 * BOUNDARIES + COUNT(shapes); i++) {
    attention s = shape_at(i);
    int64_t keys = s.queries + s.cached - s.hidden, ld = i % 2 * 3;
    describe(s);
    const float *q = floats(s.queries * (s.head_dim + ld) - ld, -2, 2), *k = floats(keys * (s.head_dim + ld) - ld, -2, 2);
    const float *v = floats(keys * (s.v_dim + ld) - ld, -2, 2);
    float *out = attend(s, q, k, v, s.queries, s.cached, ld);
    close_to("attention", out, s.queries * (s.v_dim + ld) - ld, 0, 1e-5);
    // A query's bits do not depend on those beside it, where no call has fewer than four.
    if (s.queries < 8) continue;
    int64_t cut = between(4, s.queries - 4);
    float *head = attend(s, q, k, v, cut, s.cached, ld), *tail = attend(s, q + cut * (s.head_dim + ld), k, v, s.queries - cut, s.cached + cut, ld);
    agree("first queries", head, out, (cut * (s.v_dim + ld) - ld) * 4);
    agree("last queries", tail, out + cut * (s.v_dim + ld), ((s.queries - cut) * (s.v_dim + ld) - ld) * 4);
  }
}

static void quantize_heads(void) {
  static const int64_t sizes[][2] = {{1, 64}, {2, 32}, {3, 7}, {2, 80}, {1, 1}, {4, 129}, {2, 16}, {2, 33}};
  static const float bad[] = {NAN, INFINITY, -INFINITY};
  for (int64_t i = 0; i < COUNT(sizes); i++) {
    enum { ROWS = 6 };
    int64_t heads = sizes[i][0], dim = sizes[i][1], ld = heads * dim + 3, lds = heads + 2;
    float *x = floats(ROWS * ld - 3, -2, 2), *scales = blank(ROWS * lds - 2);
    for (int64_t j = 0; j < dim; j++) x[j] = 0, x[ld + j] = (float)(j % 200) * 0x1p-149f;
    x[2 * ld + dim - 1] = 2.5f, x[2 * ld] = 127;
    x[3 * ld + dim / 2] = bad[i % 3];
    int8_t *codes = take(ROWS * ld - 3);
    memset(codes, 99, (size_t)(ROWS * ld - 3));
    about("%lld heads of %lld", (long long)heads, (long long)dim);
    dso_quantize_heads_s8(x, ld, ROWS, heads, dim, codes, ld, scales, lds);
    expect(isnan(scales[3 * lds]), "a number in the place of what was none");
    scales[3 * lds] = 0;
    same("codes", codes, ROWS * ld - 3);
    same("scales", scales, (ROWS * lds - 2) * 4);
  }
}

/// The second of two heads of a cache, and its numbers as floats.
static dso_quantized_head cache_of(int64_t keys, int64_t dim, float **values) {
  int8_t *codes = bytes(keys * 2 * dim);
  float *scales = floats(keys * 2, 0.002f, 0.016f);
  *values = take(keys * dim * 4);
  for (int64_t i = 0; i < keys * 2 * dim; i++) codes[i] = codes[i] < -127 ? -127 : codes[i];
  for (int64_t i = 0; i < keys * dim; i++) (*values)[i] = (float)codes[i / dim * 2 * dim + dim + i % dim] * scales[i / dim * 2 + 1];
  return (dso_quantized_head){codes + dim, 2 * dim, scales + 1, 2};
}

static void quantized(void) {
  for (int64_t i = 0; i < 2 * BOUNDARIES + COUNT(shapes); i++) {
    attention s = shape_at(i);
    int64_t keys = s.queries + s.cached - s.hidden;
    float *k, *v, *out = blank(s.queries * s.v_dim);
    describe(s);
    const float *q = floats(s.queries * s.head_dim, -2, 2);
    dso_quantized_head key = cache_of(keys, s.head_dim, &k), value = cache_of(keys, s.v_dim, &v);
    dso_attention_s8(q, s.head_dim, &key, &value, out, s.v_dim, s.queries, keys, s.cached, s.head_dim, s.v_dim,
                     1 / sqrtf((float)s.head_dim), s.window, scratch_of(dso_attention_s8_scratch_bytes(s.head_dim, s.v_dim)));
    close_to("attention", out, s.queries * s.v_dim, 0, 2e-5);
    if (s.queries > 3 && !is_portable()) agree("floats", out, attend(s, q, k, v, s.queries, s.cached, 0), s.queries * s.v_dim * 4);
  }
}

static void backward(void) {
  static const attention more[] = {{130, 0, 12, 12, 0, 0}, {40, 0, 33, 7, 0, 0},  {50, 0, 64, 48, 0, 0}, {140, 0, 8, 8, 20, 0},
                                   {210, 0, 4, 4, 130, 0}, {30, 90, 16, 16, 0, 0}, {9, 0, 16, 16, 0, 4}, {5, 100, 16, 16, 1, 0}};
  for (int64_t i = 0; i < BOUNDARIES + COUNT(more); i++) {
    attention s = i < BOUNDARIES ? (attention){boundaries[i], 0, 16, 16, 0, 0} : more[i - BOUNDARIES];
    int64_t heads = i % 3 + 1, keys = s.queries + s.cached - s.hidden, d = s.head_dim, w = s.v_dim, t = s.queries;
    describe(s);
    const float *q = floats(t * heads * d, -2, 2), *k = floats(keys * d, -2, 2), *v = floats(keys * w, -2, 2);
    const float *slope = floats(t * heads * w, -2, 2);
    float *output = take(t * heads * w * 4), *dq = blank(t * heads * d), *dk = blank(keys * d), *dv = blank(keys * w);
    dso_isa set = dso_isa_current();
    dso_isa_force(DSO_ISA_PORTABLE);
    for (int64_t h = 0; h < heads; h++)
      dso_attention(q + h * d, heads * d, k, d, v, w, output + h * w, heads * w, t, keys, s.cached, d, w, 1 / sqrtf((float)d), s.window,
                    scratch_of(dso_attention_scratch_bytes(d, w)));
    dso_isa_force(set);
    dso_attention_gradient g = {q, k, v, output, slope, dq, dk, dv, heads * d, d, w, heads * w, heads * w, heads * d, d, w,
                                heads, t, keys, s.cached, d, w, s.window, 1 / sqrtf((float)d)};
    dso_attention_backward(&g, scratch_of(dso_attention_backward_scratch_bytes(d, w)));
    close_to("queries", dq, t * heads * d, 1e-5, 2e-5);
    close_to("keys", dk, keys * d, 1e-5, 2e-5);
    close_to("values", dv, keys * w, 1e-5, 2e-5);
  }
}

const kernel_case attention_cases[] = {{"dso_attention", plain},
                                       {"dso_quantize_heads_s8", quantize_heads},
                                       {"dso_attention_s8", quantized},
                                       {"dso_attention_backward", backward},
                                       {NULL, NULL}};
