/// Attention over blocks of keys that queries choose.
#include "check.h"

typedef struct {
  int64_t queries, cached, head_dim, v_dim, block, count;
} selection;

static const selection shapes[] = {{1, 0, 16, 16, 4, 2},    {37, 0, 16, 16, 4, 3}, {150, 0, 33, 7, 16, 6},  {5, 201, 64, 48, 8, 5},
                                   {60, 0, 16, 16, 1, 7},   {40, 0, 16, 16, 50, 2}, {9, 31, 5, 5, 8, 1},    {1, 500, 128, 128, 32, 8},
                                   {90, 0, 20, 12, 8, 4}};

typedef struct {
  selection s;
  int64_t keys;
  const float *q, *k, *v;
  float *pooled;
  int32_t *chosen;
} problem;

static void choose(const problem *p, int64_t first, int64_t queries, int32_t *chosen) {
  selection s = p->s;
  dso_select_blocks(p->q + first * s.head_dim, s.head_dim, p->pooled, s.head_dim, queries, s.cached + first, s.head_dim, s.block, s.count,
                    chosen, scratch_of(dso_select_blocks_scratch_bytes(p->keys, s.block)));
}

/// With blocks that the portable kernel chose.
static problem problem_of(selection s) {
  about("queries %lld cached %lld dims %lld %lld, %lld blocks of %lld", (long long)s.queries, (long long)s.cached, (long long)s.head_dim,
        (long long)s.v_dim, (long long)s.count, (long long)s.block);
  problem p = {s, s.queries + s.cached, NULL, NULL, NULL, NULL, NULL};
  int64_t blocks = p.keys / s.block;
  p.q = floats(s.queries * s.head_dim, -2, 2), p.k = floats(p.keys * s.head_dim, -2, 2), p.v = floats(p.keys * s.v_dim, -2, 2);
  p.pooled = take(blocks * s.head_dim * 4);
  dso_pool_keys(p.k, s.head_dim, blocks, s.block, s.head_dim, p.pooled, s.head_dim);
  p.chosen = take(s.queries * s.count * 4);
  dso_isa set = dso_isa_current();
  dso_isa_force(DSO_ISA_PORTABLE);
  choose(&p, 0, s.queries, p.chosen);
  dso_isa_force(set);
  return p;
}

static float *attend(const problem *p, int64_t first, int64_t queries) {
  selection s = p->s;
  float *out = blank(queries * s.v_dim);
  dso_attention_selected(p->q + first * s.head_dim, s.head_dim, p->k, s.head_dim, p->v, s.v_dim, out, s.v_dim, queries, p->keys,
                         s.cached + first, s.head_dim, s.v_dim, 0.3f, s.block, s.count, p->chosen + first * s.count,
                         scratch_of(dso_attention_scratch_bytes(s.head_dim, s.v_dim)));
  return out;
}

/// Products of the numbers here are nowhere so near each other that the order of a sum would choose another block.
static void select_blocks(void) {
  for (int64_t i = 0; i < COUNT(shapes); i++) {
    problem p = problem_of(shapes[i]);
    int64_t size = p.s.queries * p.s.count;
    int32_t *found = take(size * 4);
    memset(found, 0xee, (size_t)size * 4);
    choose(&p, 0, p.s.queries, found);
    same("chosen", found, size * 4);
  }
}

static void plain(void) {
  for (int64_t i = 0; i < COUNT(shapes); i++) {
    problem p = problem_of(shapes[i]);
    float *out = attend(&p, 0, p.s.queries);
    close_to("attention", out, p.s.queries * p.s.v_dim, 0, 1e-5);
    int64_t cut = between(0, p.s.queries);
    agree("first queries", attend(&p, 0, cut), out, cut * p.s.v_dim * 4);
    agree("last queries", attend(&p, cut, p.s.queries - cut), out + cut * p.s.v_dim, (p.s.queries - cut) * p.s.v_dim * 4);
  }
}

static dso_quantized_head cache_of(int64_t keys, int64_t dim) {
  int8_t *codes = bytes(keys * dim);
  for (int64_t i = 0; i < keys * dim; i++) codes[i] = codes[i] < -127 ? -127 : codes[i];
  return (dso_quantized_head){codes, dim, floats(keys, 0.002f, 0.016f), 1};
}

static void quantized(void) {
  for (int64_t i = 0; i < COUNT(shapes); i++) {
    problem p = problem_of(shapes[i]);
    selection s = p.s;
    dso_quantized_head k = cache_of(p.keys, s.head_dim), v = cache_of(p.keys, s.v_dim);
    float *out = blank(s.queries * s.v_dim);
    dso_attention_selected_s8(p.q, s.head_dim, &k, &v, out, s.v_dim, s.queries, p.keys, s.cached, s.head_dim, s.v_dim, 0.3f, s.block,
                              s.count, p.chosen, scratch_of(dso_attention_scratch_bytes(s.head_dim, s.v_dim)));
    close_to("attention", out, s.queries * s.v_dim, 0, 2e-5);
  }
}

static void backward(void) {
  for (int64_t i = 0; i < COUNT(shapes); i++) {
    if (shapes[i].cached) continue;
    problem p = problem_of(shapes[i]);
    int64_t t = p.s.queries, d = p.s.head_dim, w = p.s.v_dim;
    const float *slope = floats(t * w, -2, 2);
    float *dq = blank(t * d), *dk = blank(p.keys * d), *dv = blank(p.keys * w);
    dso_isa set = dso_isa_current();
    dso_isa_force(DSO_ISA_PORTABLE);
    const float *output = attend(&p, 0, t);
    dso_isa_force(set);
    dso_attention_gradient g = {p.q, p.k, p.v, output, slope, dq, dk, dv, d, d, w, w, w, d, d, w, 1, t, p.keys, 0, d, w, 0, 0.3f};
    dso_attention_selected_backward(&g, p.s.block, p.s.count, p.chosen,
                                    scratch_of(dso_attention_selected_backward_scratch_bytes(p.keys, p.s.block, p.s.count)));
    close_to("queries", dq, t * d, 1e-4, 2e-5);
    close_to("keys", dk, p.keys * d, 1e-4, 2e-5);
    close_to("values", dv, p.keys * w, 1e-4, 2e-5);
  }
}

const kernel_case selected_cases[] = {{"dso_select_blocks", select_blocks},
                                      {"dso_attention_selected", plain},
                                      {"dso_attention_selected_s8", quantized},
                                      {"dso_attention_selected_backward", backward},
                                      {NULL, NULL}};
