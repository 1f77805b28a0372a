/// What is done with a tile once its products are added.
#ifndef DSO_FINISH_H
#define DSO_FINISH_H

/// Where a tile lies in the result and in K.
typedef struct {
  float *c;             ///< its first element
  int64_t ldc;
  int first, last;      ///< whether it is the first, the last block of K
  const float *bias;    ///< TILE_COLUMNS of it, or NULL
  const float *a_scales;  ///< of its rows; codes only
} tile_place;

/// Groups of codes in a block. Sums are negative: they are multiplied with what is taken off each stored code.
typedef struct {
  int64_t count;
  int64_t units;          ///< of every group but the last
  int64_t last_units;
  const float *scales;    ///< [count, pitch], at the tile's first column
  const int32_t *offsets; ///< the same; NULL when no column has any
  int64_t column_pitch;
  const int32_t *sums;    ///< [count, pitch], at the tile's first row
  int64_t row_pitch;
} tile_groups;

#ifndef UNITS_IN_PAIRS
INLINE void multiply_codes(int rows, const float *a, const float *b, int64_t units, VF acc[TILE_ROWS][TILE_VECTORS]) {
  multiply_panels(UNITS_CODES, rows, a, b, units, acc);
}
#endif

/// The result comes from a far cache; asked for before the products, it is there after them.
INLINE void prefetch_tile(int rows, const tile_place *at) {
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < TILE_VECTORS; v++) __builtin_prefetch(at->c + r * at->ldc + v * LANES, 1);
}

INLINE void float_tile(int rows, unit_kind kind, const float *a, const float *b, int64_t units, const tile_place *at) {
  VF acc[TILE_ROWS][TILE_VECTORS];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < TILE_VECTORS; v++) acc[r][v] = vf_zero();
  prefetch_tile(rows, at);
  multiply_panels(kind, rows, a, b, units, acc);
  for (int r = 0; r < rows; r++) {
    for (int v = 0; v < TILE_VECTORS; v++) {
      float *c = at->c + r * at->ldc + v * LANES;
      VF value = at->first ? acc[r][v] : vf_add(vf_load(c), acc[r][v]);
      if (at->last && at->bias) value = vf_add(value, vf_load(at->bias + v * LANES));
      vf_store(c, value);
    }
  }
}

INLINE VF scaled(VF value, const tile_place *at, int r, int v) {
  value = vf_mul(value, vf_set(at->a_scales[r]));
  return at->bias ? vf_add(value, vf_load(at->bias + v * LANES)) : value;
}

/// Starts the sums of a group with what the offsets of its stored codes come to.
INLINE void start_group(int rows, const tile_groups *groups, int64_t g, VF acc[TILE_ROWS][TILE_VECTORS]) {
  const int32_t *sums = groups->sums + g * groups->row_pitch;
  for (int v = 0; v < TILE_VECTORS; v++) {
    VI offset = groups->offsets ? vi_load(groups->offsets + g * groups->column_pitch + v * LANES) : vi_zero();
    for (int r = 0; r < rows; r++) acc[r][v] = groups->offsets ? vf_cast(vi_mul(offset, vi_set(sums[r]))) : vf_zero();
  }
}

/// One group for all of K: between blocks, c holds the integers.
INLINE void plain_code_tile(int rows, const float *a, const float *b, const tile_groups *groups, const tile_place *at) {
  VF acc[TILE_ROWS][TILE_VECTORS];
  start_group(rows, groups, 0, acc);
  prefetch_tile(rows, at);
  multiply_codes(rows, a, b, groups->last_units, acc);
  for (int r = 0; r < rows; r++) {
    for (int v = 0; v < TILE_VECTORS; v++) {
      float *c = at->c + r * at->ldc + v * LANES;
      VI sum = vi_cast(acc[r][v]);
      if (!at->first) sum = vi_add(sum, vi_load(c));
      if (at->last) {
        vf_store(c, scaled(vf_mul(vf_load(groups->scales + v * LANES), vf_of_vi(sum)), at, r, v));
      } else {
        vi_store(c, sum);
      }
    }
  }
}

/// Several groups: each one's integers are scaled and added in float.
INLINE void grouped_code_tile(int rows, const float *a, const float *b, const tile_groups *groups, const tile_place *at) {
  float total[TILE_ROWS][TILE_COLUMNS] __attribute__((aligned(64)));
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < TILE_VECTORS; v++)
      vf_store(total[r] + v * LANES, at->first ? vf_zero() : vf_load(at->c + r * at->ldc + v * LANES));
  for (int64_t g = 0; g < groups->count; g++) {
    VF acc[TILE_ROWS][TILE_VECTORS];
    int64_t units = g + 1 < groups->count ? groups->units : groups->last_units;
    start_group(rows, groups, g, acc);
    multiply_codes(rows, a, b, units, acc);
    a += units * TILE_ROWS;
    b += units * TILE_COLUMNS;
    for (int v = 0; v < TILE_VECTORS; v++) {
      VF scale = vf_load(groups->scales + g * groups->column_pitch + v * LANES);
      for (int r = 0; r < rows; r++) {
        float *sum = total[r] + v * LANES;
        vf_store(sum, vf_fma(scale, vf_of_vi(vi_cast(acc[r][v])), vf_load(sum)));
      }
    }
  }
  for (int r = 0; r < rows; r++) {
    for (int v = 0; v < TILE_VECTORS; v++) {
      VF value = vf_load(total[r] + v * LANES);
      vf_store(at->c + r * at->ldc + v * LANES, at->last ? scaled(value, at, r, v) : value);
    }
  }
}

static void run_f32_tile(int rows, const float *a, const float *b, int64_t units, const tile_place *at) {
  switch (rows) { TILE_CASES(float_tile, UNITS_F32, a, b, units, at) }
}

#if BF16_PER_UNIT == 2
static void run_bf16_tile(int rows, const float *a, const float *b, int64_t units, const tile_place *at) {
  switch (rows) { TILE_CASES(float_tile, UNITS_BF16, a, b, units, at) }
}
#endif

static void run_plain_code_tile(int rows, const float *a, const float *b, const tile_groups *groups, const tile_place *at) {
  switch (rows) { TILE_CASES(plain_code_tile, a, b, groups, at) }
}

static void run_grouped_code_tile(int rows, const float *a, const float *b, const tile_groups *groups, const tile_place *at) {
  switch (rows) { TILE_CASES(grouped_code_tile, a, b, groups, at) }
}

#endif
