/// Portable access to packed codes, for the references and for the tails of the fast variants.
#ifndef DSO_CODES_H
#define DSO_CODES_H

#include "../dispatch/contraction.h"
#include "../include/CKernels.h"

/// Stored code i of a row (code + 2^(bits-1)). Reads only the bytes that hold its bits.
static inline uint32_t dso_stored_code(const uint8_t *row, int64_t i, int bits) {
  int64_t bit = i * bits;
  const uint8_t *at = row + (bit >> 3);
  int shift = (int)(bit & 7);
  uint32_t word = at[0];
  if (shift + bits > 8) word |= (uint32_t)at[1] << 8;
  return (word >> shift) & ((1u << bits) - 1u);
}

static inline int64_t dso_group_count(const dso_weights *w) { return w->k <= 0 ? 0 : (w->k + w->group_size - 1) / w->group_size; }

static inline const uint8_t *dso_weight_row(const dso_weights *w, int64_t row) { return (const uint8_t *)w->data + row * w->row_bytes; }

/// The weight that a stored code stands for. group: row * groups of a row + the group in it.
static inline float dso_code_value(const dso_weights *w, int64_t group, uint32_t code) {
  if (w->minima) return (float)code * w->scales[group] + w->minima[group];
  if (w->levels) return w->levels[code] * w->scales[group];
  int offset = (1 << (w->bits - 1)) + (w->zero_points ? w->zero_points[group] : 0);
  return (float)((int)code - offset) * w->scales[group];
}

static inline int64_t dso_min_i64(int64_t a, int64_t b) { return a < b ? a : b; }

#endif
