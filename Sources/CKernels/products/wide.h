/// Products of 16-bit activations: packing of their weights, and what is done with a tile.
#ifndef DSO_WIDE_H
#define DSO_WIDE_H

/// One chunk of a panel of TILE_COLUMNS rows of weights from `row` on (those before `row_end`), its codes widened, less their zero points.
INLINE void pack_wide_codes(const dso_weights *w, int64_t row, int64_t row_end, int64_t begin, int64_t count, uint8_t *decoded, float *to) {
  enum { PITCH = DSO_WIDE_RUN * WIDE_BYTES };
  uint8_t *codes = decoded + LANES * PITCH;
  int64_t groups = dso_group_count(w), group = begin / w->group_size;
  for (int64_t part = 0; part < TILE_COLUMNS; part += LANES) {
    int64_t rows = dso_min_i64(LANES, row_end - row - part);
    if (rows < 0) rows = 0;
    for (int64_t r = 0; r < rows; r++) {
      const uint8_t *data = dso_weight_row(w, row + part + r), *from = data + begin;
      int offset = (1 << (w->bits - 1)) + (w->zero_points ? w->zero_points[(row + part + r) * groups + group] : 0);
      if (w->bits < 8) {
        unpack_run(data, w->k, w->bits, begin, count, codes);
        from = codes;
      }
      center_wide(from, count, offset, decoded + r * PITCH);
    }
    pack_rows(decoded, PITCH, rows, count * WIDE_BYTES, to + part, TILE_COLUMNS);
  }
}

/// Every chunk's integers are scaled and added in float. Several chunks add up beside the result, whose rows may fall on each other in the
/// first cache.
INLINE void wide_tile(int rows, const float *a, const float *b, const tile_groups *groups, const tile_place *at) {
  float total[TILE_ROWS][TILE_COLUMNS] __attribute__((aligned(64)));
  prefetch_tile(rows, at);
  for (int64_t g = 0; g < groups->count; g++) {
    VF acc[TILE_ROWS][TILE_VECTORS];
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < TILE_VECTORS; v++) acc[r][v] = vf_zero();
    int last = g + 1 == groups->count;
    int64_t units = last ? groups->last_units : groups->units;
    multiply_panels(UNITS_WIDE, rows, a, b, units, acc);
    a += units * TILE_ROWS;
    b += units * TILE_COLUMNS;
    const float *scales = groups->scales + g * groups->column_pitch;
    for (int r = 0; r < rows; r++) {
      for (int v = 0; v < TILE_VECTORS; v++) {
        float *c = at->c + r * at->ldc + v * LANES, *sum = total[r] + v * LANES;
        VF before = g > 0 ? vf_load(sum) : at->first ? vf_zero() : vf_load(c);
        VF after = vf_fma(vf_load(scales + v * LANES), vf_of_vi(vi_cast(acc[r][v])), before);
        if (!last) {
          vf_store(sum, after);
        } else {
          vf_store(c, at->last ? scaled(after, at, r, v) : after);
        }
      }
    }
  }
}

static void run_wide_tile(int rows, const float *a, const float *b, const tile_groups *groups, const tile_place *at) {
  switch (rows) { TILE_CASES(wide_tile, a, b, groups, at) }
}

#endif
