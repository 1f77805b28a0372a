/// The table of types, and what their parts stand for.
#include <math.h>
#include <stddef.h>

#include "../conversions/scalar.h"
#include "../dispatch/contraction.h"
#include "../include/Blocks.h"

static const float nonlinear[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
static const float e2m1[16] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};

static const dso_block_format q4_0 = {.bits = 4, .block = 32, .group = 32, .bytes = 18};
static const dso_block_format q4_1 = {.bits = 4, .block = 32, .group = 32, .bytes = 20, .minima = 1};
static const dso_block_format q5_0 = {.bits = 5, .block = 32, .group = 32, .bytes = 22};
static const dso_block_format q5_1 = {.bits = 5, .block = 32, .group = 32, .bytes = 24, .minima = 1};
static const dso_block_format q8_0 = {.bits = 8, .block = 32, .group = 32, .bytes = 34};
static const dso_block_format q2_k = {2, 256, 16, 84, 1, 1, 0, 15, NULL};
static const dso_block_format q3_k = {3, 256, 16, 110, 0, 1, -32, 31, NULL};
static const dso_block_format q4_k = {4, 256, 32, 144, 1, 1, 0, 63, NULL};
static const dso_block_format q5_k = {5, 256, 32, 176, 1, 1, 0, 63, NULL};
static const dso_block_format q6_k = {6, 256, 16, 210, 0, 1, -128, 127, NULL};
static const dso_block_format iq4_nl = {.bits = 4, .block = 32, .group = 32, .bytes = 18, .levels = nonlinear};
static const dso_block_format mxfp4 = {.bits = 4, .block = 32, .group = 32, .bytes = 17, .levels = e2m1};

const dso_block_format *dso_block_format_of(dso_block_type type) {
  switch (type) {
    case DSO_BLOCKS_Q4_0: return &q4_0;
    case DSO_BLOCKS_Q4_1: return &q4_1;
    case DSO_BLOCKS_Q5_0: return &q5_0;
    case DSO_BLOCKS_Q5_1: return &q5_1;
    case DSO_BLOCKS_Q8_0: return &q8_0;
    case DSO_BLOCKS_Q2_K: return &q2_k;
    case DSO_BLOCKS_Q3_K: return &q3_k;
    case DSO_BLOCKS_Q4_K: return &q4_k;
    case DSO_BLOCKS_Q5_K: return &q5_k;
    case DSO_BLOCKS_Q6_K: return &q6_k;
    case DSO_BLOCKS_IQ4_NL: return &iq4_nl;
    case DSO_BLOCKS_MXFP4: return &mxfp4;
  }
  return NULL;
}

static float power_of(uint8_t exponent) {
  if (exponent == 255) return NAN;
  return exponent == 0 ? 0x1p-127f : dso_float_of((uint32_t)exponent << 23);
}

void dso_block_grids(dso_block_type type, int64_t k, dso_block_parts parts, float *scales, float *minima) {
  const dso_block_format *format = dso_block_format_of(type);
  if (!format) return;
  int groups = format->block / format->group;
  for (int64_t b = 0; b < k / format->block; b++) {
    float scale = type == DSO_BLOCKS_MXFP4 ? power_of(parts.exponents[b]) : dso_f32_of_f16(parts.scales[b]);
    float minimum = format->minima ? dso_f32_of_f16(parts.minima[b]) : 0;
    for (int64_t g = b * groups; g < (b + 1) * groups; g++) {
      scales[g] = format->nested ? scale * (float)parts.scale_codes[g] : scale;
      if (format->minima) minima[g] = format->nested ? -(minimum * (float)parts.minimum_codes[g]) : minimum;
    }
  }
}
