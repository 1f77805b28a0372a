/// Rows of a matrix, or pairs of them, spread over the panels of their columns.
#ifndef DSO_GRADIENT_SPREAD_H
#define DSO_GRADIENT_SPREAD_H

/// LANES units at `from`: floats, or pairs of these and of what lies a row farther on (zero behind the last).
INLINE VF spread_units(packing how, const float *from, const float *next) {
  if (how == PACK_AS_IT_IS) return vf_load(from);
  return round_pair(vf_load(from), next ? vf_load(next) : vf_zero());
}

INLINE VF spread_units_n(packing how, const float *from, const float *next, int64_t n) {
  if (how == PACK_AS_IT_IS) return vf_load_n(from, n);
  return round_pair(vf_load_n(from, n), next ? vf_load_n(next, n) : vf_zero());
}

/// One row of units: unit i of panel p, that is of column p * panel + i, goes to to[p * panel_floats + i], for `width` columns; the rest of
/// the last panel is zero. Vectors are stored whole, and so may reach over a panel that is no multiple of them, unless `exact`.
INLINE void spread_row(packing how, const uint8_t *row, const uint8_t *next_row, int64_t width, int panel, int64_t panel_floats, int exact,
                       float *to) {
  const float *from = (const float *)(const void *)row, *next = (const float *)(const void *)next_row;
  int64_t reach = (panel + LANES - 1) / LANES * LANES, p = 0;
  for (; !exact && p + reach <= width; p += panel, to += panel_floats)
    for (int i = 0; i < panel; i += LANES) vf_store(to + i, spread_units(how, from + p + i, next ? next + p + i : NULL));
  for (; p < width; p += panel, to += panel_floats) {
    for (int i = 0; i < panel; i += LANES) {
      int64_t n = width - p - i;
      const float *at = from + p + i, *below = next ? next + p + i : NULL;
      VF units = n >= LANES ? spread_units(how, at, below) : n > 0 ? spread_units_n(how, at, below, n) : vf_zero();
      if (exact && panel - i < LANES) {
        vf_store_n(to + i, units, panel - i);
      } else {
        vf_store(to + i, units);
      }
    }
  }
}

enum {
  /// Rows that are asked for before their turn: they come from a far cache, and no processor guesses the way from row to row.
  SPREAD_AHEAD = 8,
  /// Panels that are written in turns: their lines meet in few sets of the first cache.
  SPREAD_PANELS = 24,
};

/// `depth` rows of `width` columns as panels [units][panel] that lie panel_floats apart. Row after row, for some panels at a time, since
/// the rows of a wide matrix lie in different pages. What is stored beyond one row of a panel is written again with the next; the last is
/// stored exactly.
INLINE void spread_rows(packing how, const uint8_t *from, int64_t row_bytes, int64_t width, int64_t depth, int panel,
                        int64_t panel_floats, float *to) {
  const int paired = how == PACK_ROUNDING && BF16_PER_UNIT == 2, step = paired ? 2 : 1;
  for (int64_t begin = 0; begin < width; begin += SPREAD_PANELS * panel, to += SPREAD_PANELS * panel_floats) {
    int64_t columns = dso_min_i64(SPREAD_PANELS * panel, width - begin);
    float *line = to;
    for (int64_t d = 0; d < depth; d += step, line += panel) {
      const uint8_t *row = from + d * row_bytes + 4 * begin, *next = row + row_bytes;
      for (int64_t r = SPREAD_AHEAD; r < SPREAD_AHEAD + step && d + r < depth; r++)
        for (int64_t byte = 0; byte < 4 * columns; byte += 64) __builtin_prefetch(row + r * row_bytes + byte);
      if (d + step < depth) {
        spread_row(how, row, paired ? next : NULL, columns, panel, panel_floats, 0, line);
      } else {
        spread_row(how, row, paired && d + 1 < depth ? next : NULL, columns, panel, panel_floats, 1, line);
      }
    }
  }
}

#endif
