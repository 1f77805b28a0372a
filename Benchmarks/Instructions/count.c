/// Work whose instructions are counted: `count SUBJECT TIMES` runs one subject so often, `count` alone lists them with their units of work.
///
/// What is counted around the kernels, filling memory among it, goes away when runs of different TIMES are subtracted (Scripts/count-instructions).
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "CKernels.h"
#include "Blocks.h"
#include "Factorization.h"
#include "NearestRounding.h"
#include "WideActivations.h"

enum { ROWS = 64, OUTPUTS = 192, INPUTS = 512, GROUP = 64, HEAD = 64 };

static uint64_t state = 1;

static float number(void) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (float)((double)(state >> 40) / (1 << 23) - 1);
}

static void *room(int64_t bytes) {
  void *memory = aligned_alloc(64, (size_t)((bytes + 127) / 64 * 64));
  if (!memory) exit(1);
  return memset(memory, 0, (size_t)bytes);
}

static float *numbers(int64_t count) {
  float *x = room(count * 4);
  for (int64_t i = 0; i < count; i++) x[i] = number();
  return x;
}

/// [OUTPUTS, INPUTS], in groups of 64.
static dso_weights weights(int bits) {
  dso_weights w = {.n = OUTPUTS, .k = INPUTS, .group_size = GROUP, .bits = bits};
  if (bits == 32) {
    w.storage = DSO_STORAGE_F32, w.data = numbers(OUTPUTS * INPUTS), w.row_bytes = INPUTS * 4;
    return w;
  }
  w.storage = DSO_STORAGE_QUANTIZED, w.row_bytes = INPUTS * bits / 8;
  uint8_t *codes = room(OUTPUTS * w.row_bytes + 64);
  for (int64_t i = 0; i < OUTPUTS * w.row_bytes; i++) codes[i] = (uint8_t)(number() * 127);
  w.data = codes, w.scales = numbers(OUTPUTS * INPUTS / GROUP);
  return w;
}

typedef struct {
  float *x, *y, *out, *importance;
  int8_t *q;
  int16_t *wide;
  float *scales;
  dso_weights dense, eight, four;
  void *scratch;
  uint32_t *words;
  uint8_t *codes;
  dso_block_parts parts;
} fixture;

static fixture made(void) {
  fixture f = {.x = numbers(OUTPUTS * INPUTS), .y = numbers(OUTPUTS * INPUTS), .out = room(OUTPUTS * INPUTS * 4), .q = room(ROWS * INPUTS),
               .wide = room(ROWS * INPUTS * 2), .scales = room(OUTPUTS * INPUTS), .dense = weights(32), .eight = weights(8), .four = weights(4),
               .scratch = room(1 << 22), .words = room(OUTPUTS * INPUTS * 4), .codes = room(OUTPUTS * INPUTS)};
  f.importance = numbers(INPUTS);
  f.parts = (dso_block_parts){.scales = room(ROWS * INPUTS), .minima = room(ROWS * INPUTS), .scale_codes = room(ROWS * INPUTS),
                              .minimum_codes = room(ROWS * INPUTS)};
  for (int i = 0; i < INPUTS; i++) f.importance[i] = f.importance[i] * f.importance[i] + 0.01f;
  dso_quantize_rows_s8(f.x, INPUTS, ROWS, INPUTS, f.q, INPUTS, f.scales, GROUP, NULL);
  dso_quantize_rows_s16(f.x, INPUTS, ROWS, INPUTS, f.wide, INPUTS, f.scales + ROWS);
  return f;
}

static void product(fixture *f, const dso_weights *w) { dso_matmul_f32(f->x, INPUTS, ROWS, w, 0, OUTPUTS, NULL, f->out, OUTPUTS, f->scratch); }
static void f32_product(fixture *f) { product(f, &f->dense); }
static void f32_times_4_bits(fixture *f) { product(f, &f->four); }
static void s8_product(fixture *f) {
  dso_matmul_s8(f->q, INPUTS, f->scales, NULL, ROWS, &f->eight, 0, OUTPUTS, NULL, f->out, OUTPUTS, f->scratch);
}
static void s16_row(fixture *f) {
  dso_matvec_s16(f->wide, INPUTS, f->scales + ROWS, 1, &f->four, 0, OUTPUTS, NULL, f->out, OUTPUTS, f->scratch);
}
static void dequantize(fixture *f) { dso_dequantize(&f->four, 0, OUTPUTS, f->out, INPUTS); }
static void attention(fixture *f) {
  dso_attention(f->x, HEAD, f->y, HEAD, f->x, HEAD, f->out, HEAD, 256, 256, 0, HEAD, HEAD, 0.125f, 0, f->scratch);
}
static void round_to_nearest(fixture *f) {
  dso_nearest_grid grid = {.bits = 4, .symmetric = 1, .rule = DSO_RULE_SIGNED_ABSMAX, .type = DSO_SCALE_BF16, .group_size = GROUP};
  dso_round_rows_to_nearest(f->x, DSO_STORAGE_F32, INPUTS * 4, OUTPUTS, INPUTS, &grid, f->words, f->scales + 2 * ROWS, NULL, f->scratch);
}
static void gram(fixture *f) {
  dso_outer_product p = {.x = f->x, .ldx = INPUTS, .y = f->x, .ldy = INPUTS, .depth = ROWS, .c = f->out, .ldc = OUTPUTS};
  dso_accumulate_outer(&p, 0, OUTPUTS, 0, OUTPUTS, f->scratch);
}
static void feedback(fixture *f) {
  enum { COLUMNS = 128, LD = 192 };
  static int32_t groups[COLUMNS];
  static float ones[4 * LD], zeros[4 * LD];
  static double losses[LD];
  for (int i = 0; i < 4 * LD; i++) ones[i] = 0.25f;
  memcpy(f->out, f->y, COLUMNS * LD * 4);
  dso_feedback_step step = {.rows = LD, .columns = COLUMNS, .ld = LD, .weights = f->out, .feedback = f->x, .m = f->y, .ldm = COLUMNS,
                            .groups = groups, .scales = ones, .zero_points = zeros, .ldg = LD, .bits = 4, .pivots = f->importance,
                            .damping = f->importance, .codes = f->codes, .losses = losses};
  dso_round_with_feedback(&step);
}
static void softmax(fixture *f) {
  for (int row = 0; row < 16; row++) {
    double one = dso_summarize_logits(f->x + row * INPUTS * 8, INPUTS * 8).log_sum_exp;
    double other = dso_summarize_logits(f->y + row * INPUTS * 8, INPUTS * 8).log_sum_exp;
    f->out[row] = (float)dso_kl_divergence(f->x + row * INPUTS * 8, one, f->y + row * INPUTS * 8, other, INPUTS * 8);
  }
}
static void q4_k(fixture *f) {
  dso_block_search search = {.type = DSO_BLOCKS_Q4_K, .by_magnitude = 1};
  dso_quantize_blocks(&search, f->x, INPUTS, ROWS, INPUTS, f->importance, f->words, f->parts, f->scratch);
}
static void pack(fixture *f) { dso_pack_codes(f->codes, OUTPUTS * INPUTS, 3, f->words); }

static const struct {
  const char *name;
  void (*run)(fixture *);
  double units;
  const char *unit;
} subjects[] = {
  {"product-f32", f32_product, (double)ROWS *OUTPUTS *INPUTS, "multiplication"},
  {"product-f32-4bit", f32_times_4_bits, (double)ROWS *OUTPUTS *INPUTS, "multiplication"},
  {"product-int8", s8_product, (double)ROWS *OUTPUTS *INPUTS, "multiplication"},
  {"row-int16-4bit", s16_row, (double)OUTPUTS *INPUTS, "weight"},
  {"dequantize-4bit", dequantize, (double)OUTPUTS *INPUTS, "weight"},
  {"attention", attention, 256.0 * 257 / 2 * HEAD * 2, "multiplication"},
  {"nearest-4bit", round_to_nearest, (double)OUTPUTS *INPUTS, "weight"},
  {"gram", gram, (double)ROWS *OUTPUTS *OUTPUTS, "multiplication"},
  {"feedback-4bit", feedback, 128.0 * 127 / 2 * 192, "multiplication"},
  {"divergence", softmax, 16.0 * INPUTS * 8, "logit"},
  {"search-q4_k", q4_k, (double)ROWS *INPUTS, "weight"},
  {"pack-3bit", pack, (double)OUTPUTS *INPUTS, "code"},
};

int main(int count, char **arguments) {
  enum { SUBJECTS = sizeof subjects / sizeof subjects[0] };
  for (int i = 0; i < SUBJECTS; i++) {
    if (count == 1) {
      printf("%s\t%.0f\t%s\n", subjects[i].name, subjects[i].units, subjects[i].unit);
    } else if (count == 3 && strcmp(arguments[1], subjects[i].name) == 0) {
      fixture f = made();
      for (int times = atoi(arguments[2]); times > 0; times--) subjects[i].run(&f);
      fprintf(stderr, "%s\n", dso_isa_name(dso_isa_current()));
      return 0;
    }
  }
  return count == 1 ? 0 : 64;
}
