/// The inner loop of the products: a tile of TILE_ROWS rows of activations by TILE_COLUMNS columns of weights, held in registers.
#ifndef DSO_TILE_H
#define DSO_TILE_H

#include "bfloat16.h"

enum { TILE_COLUMNS = TILE_VECTORS * LANES };

/// What a 32-bit unit of a panel holds.
typedef enum { UNITS_F32, UNITS_BF16, UNITS_CODES, UNITS_WIDE } unit_kind;

/// acc + a * b for one unit per lane. Accumulators of codes are 32-bit integers in float registers.
/// Files without products of codes include this one without HAS_PRODUCTS.
INLINE VF add_product(unit_kind kind, VF acc, VF a, VF b) {
  switch (kind) {
    case UNITS_F32: return vf_fma(a, b, acc);
    case UNITS_BF16: return add_product_bf16(acc, a, b);
#ifdef HAS_PRODUCTS
    case UNITS_CODES: return vf_cast(add_product_codes(vi_cast(acc), vi_cast(a), vi_cast(b)));
    case UNITS_WIDE: return vf_cast(add_product_wide(vi_cast(acc), vi_cast(a), vi_cast(b)));
#else
    default: return acc;
#endif
  }
}

/// acc += a panel of activations [units][TILE_ROWS] times a panel of weights [units][TILE_COLUMNS], unit by unit.
INLINE void multiply_panels(unit_kind kind, int rows, const float *a, const float *b, int64_t units, VF acc[TILE_ROWS][TILE_VECTORS]) {
  for (int64_t u = 0; u < units; u++, a += TILE_ROWS, b += TILE_COLUMNS) {
    VF column[TILE_VECTORS];
#pragma clang loop unroll(full)
    for (int v = 0; v < TILE_VECTORS; v++) column[v] = vf_load(b + v * LANES);
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
      VF one = vf_set(a[r]);
#pragma clang loop unroll(full)
      for (int v = 0; v < TILE_VECTORS; v++) acc[r][v] = add_product(kind, acc[r][v], one, column[v]);
    }
  }
}

/// Calls `function(rows, ...)` with rows as a constant, so that the accumulators of every height stay in registers.
#define CASE_ROWS(function, n, ...) \
  case n: function(n, __VA_ARGS__); break;
#define CASES_TO_6(f, ...)                                                                          \
  CASE_ROWS(f, 1, __VA_ARGS__) CASE_ROWS(f, 2, __VA_ARGS__) CASE_ROWS(f, 3, __VA_ARGS__)             \
  CASE_ROWS(f, 4, __VA_ARGS__) CASE_ROWS(f, 5, __VA_ARGS__) CASE_ROWS(f, 6, __VA_ARGS__)
#define CASES_TO_8(f, ...) CASES_TO_6(f, __VA_ARGS__) CASE_ROWS(f, 7, __VA_ARGS__) CASE_ROWS(f, 8, __VA_ARGS__)
#define CASES_TO_14(f, ...)                                                                         \
  CASES_TO_8(f, __VA_ARGS__)                                                                        \
  CASE_ROWS(f, 9, __VA_ARGS__) CASE_ROWS(f, 10, __VA_ARGS__) CASE_ROWS(f, 11, __VA_ARGS__)           \
  CASE_ROWS(f, 12, __VA_ARGS__) CASE_ROWS(f, 13, __VA_ARGS__) CASE_ROWS(f, 14, __VA_ARGS__)

#endif
