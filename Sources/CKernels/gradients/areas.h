/// The scratch of attention's gradient, in areas.
#ifndef DSO_GRADIENT_AREAS_H
#define DSO_GRADIENT_AREAS_H

#include "../include/CKernels.h"

enum {
  /// Most queries in a block, and keys: whole panels of every variant.
  DSO_GRADIENT_QUERIES = 128,
  DSO_GRADIENT_KEYS = 96,
};

typedef struct {
  float *queries;          ///< panels [head_dim][TILE_ROWS]
  float *output_gradient;  ///< panels [v_dim][TILE_ROWS]
  float *query_columns;    ///< panels [QUERIES][TILE_COLUMNS]
  float *gradient_columns; ///< the same of the output's gradient
  float *keys;             ///< panels [head_dim][TILE_COLUMNS]
  float *values;           ///< panels [v_dim][TILE_COLUMNS]
  float *key_columns;      ///< panels [KEYS][TILE_COLUMNS]
  float *weights;          ///< [QUERIES, KEYS]: probabilities
  float *slopes;           ///< [QUERIES, KEYS]: gradients of the scaled scores
  float *largest;          ///< [QUERIES] each: the largest score, 1 / total, output times its gradient
  float *inverse;
  float *products;
  int64_t floats;          ///< of all areas together
} dso_gradient_areas;

static inline float *dso_take_floats(float *memory, int64_t *at, int64_t count) {
  float *area = memory ? memory + *at : memory;
  // A vector is stored whole at the end of every area.
  *at += (count + 64 + 15) / 16 * 16;
  return area;
}

static inline dso_gradient_areas dso_cut_gradient_areas(float *memory, int64_t head_dim, int64_t v_dim) {
  // Widths are rounded up to the widest panel.
  int64_t depth = (head_dim + 31) / 32 * 32, width = (v_dim + 31) / 32 * 32, at = 0;
  dso_gradient_areas s;
  s.queries = dso_take_floats(memory, &at, DSO_GRADIENT_QUERIES * depth);
  s.output_gradient = dso_take_floats(memory, &at, DSO_GRADIENT_QUERIES * width);
  s.query_columns = dso_take_floats(memory, &at, DSO_GRADIENT_QUERIES * (depth + 16));
  s.gradient_columns = dso_take_floats(memory, &at, DSO_GRADIENT_QUERIES * (width + 16));
  s.keys = dso_take_floats(memory, &at, DSO_GRADIENT_KEYS * depth);
  s.values = dso_take_floats(memory, &at, DSO_GRADIENT_KEYS * width);
  s.key_columns = dso_take_floats(memory, &at, DSO_GRADIENT_KEYS * (depth + 16));
  s.weights = dso_take_floats(memory, &at, DSO_GRADIENT_QUERIES * DSO_GRADIENT_KEYS);
  s.slopes = dso_take_floats(memory, &at, DSO_GRADIENT_QUERIES * DSO_GRADIENT_KEYS);
  s.largest = dso_take_floats(memory, &at, DSO_GRADIENT_QUERIES);
  s.inverse = dso_take_floats(memory, &at, DSO_GRADIENT_QUERIES);
  s.products = dso_take_floats(memory, &at, DSO_GRADIENT_QUERIES);
  s.floats = at;
  return s;
}

#endif
