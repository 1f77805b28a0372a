/// The activations of dso_matvec_s16, arranged once per call in the order in which codes come out of the steps of a row of weights.
///
/// The file that includes this one has said how a step is read (readings_s16.h, load_step) and multiplied: PLANE_BYTES, WIDE_PARTS,
/// CODES_CENTERED, SHARED_STEPS, SINGLE_ROWS, store_planes, sum_planes, add_codes, join_parts.
#ifndef DSO_ARRANGE_S16_H
#define DSO_ARRANGE_S16_H

/// How the rows of some weights are read.
typedef struct {
  wide_reading kind;
  wide_bits bits;
  int64_t step;         ///< codes of a step
  int64_t together;     ///< groups that share a step; 1 where a group has whole steps
  int64_t groups;       ///< of a row
  int64_t steps, span_steps, run_steps;  ///< of a row, of `together` groups, and of the longest piece: what 32 bits certainly hold
  int64_t pieces;
  int64_t plane_pitch;  ///< bytes of an arranged row
  int32_t shift;        ///< what is taken off stored codes while they are read
} wide_plan;

/// Groups of `size` codes in steps of `step`: how many share one, 0 when they do not fit.
INLINE int64_t groups_together(int64_t size, int64_t step) {
  if (size % step == 0) return 1;
  return SHARED_STEPS && size >= 16 && step % size == 0 ? step / size : 0;
}

INLINE wide_plan plan_wide(const dso_weights *w) {
  wide_plan plan = {.kind = READ_ODD, .bits = plan_bits(w->bits)};
  if (w->k <= 0) return plan;
  int whole = w->group_size >= w->k;
  int64_t size = whole ? w->k : w->group_size;
  if (w->bits == 4 && (whole || groups_together(size, 2 * STEP_CODES))) {
    plan.kind = READ_NIBBLES;
  } else if (whole || groups_together(size, STEP_CODES)) {
    plan.kind = w->bits == 8 ? READ_CODE_BYTES : READ_BITS;
  } else {
    return plan;
  }
  plan.step = plan.kind == READ_NIBBLES ? 2 * STEP_CODES : STEP_CODES;
  plan.together = whole ? 1 : groups_together(size, plan.step);
  plan.groups = dso_group_count(w);
  int64_t span = plan.together * size, whole_spans = w->k / span;
  plan.steps = (w->k + plan.step - 1) / plan.step;
  plan.span_steps = (span + plan.step - 1) / plan.step;
  // A lane holds 256 products as large as 255 * 32639.
  plan.run_steps = 256 * LANES / plan.step;
  int64_t rest = plan.steps - whole_spans * plan.span_steps;
  plan.pieces = whole_spans * ((plan.span_steps + plan.run_steps - 1) / plan.run_steps) + (rest + plan.run_steps - 1) / plan.run_steps;
  plan.plane_pitch = plan.steps * (plan.step / STEP_CODES) * PLANE_BYTES;
  plan.shift = plan.kind == READ_CODE_BYTES && CODES_CENTERED ? 128 : 0;
  return plan;
}

/// One step of activations, zeros behind the last: its planes, and per lane its sum.
INLINE VI arrange_step(const wide_plan *plan, const int16_t *from, int64_t count, uint8_t *to) {
  int16_t codes[2 * STEP_CODES], ordered[2][STEP_CODES];
  if (count < plan->step) {
    memset(codes, 0, sizeof codes);
    memcpy(codes, from, (size_t)count * sizeof *codes);
    from = codes;
  }
  if (plan->kind != READ_NIBBLES) {
    store_planes(from, to);
    return sum_planes(to);
  }
  for (int i = 0; i < STEP_CODES; i++) {
    ordered[0][i] = from[2 * i];
    ordered[1][i] = from[2 * i + 1];
  }
  store_planes(ordered[0], to);
  store_planes(ordered[1], to + PLANE_BYTES);
  return vi_add(sum_planes(to), sum_planes(to + PLANE_BYTES));
}

/// Fills `planes` and, behind them, the sums of all pieces, which it returns: with symmetric weights times what is too much in a stored
/// code.
static const VI *arrange_wide(const wide_plan *plan, const dso_weights *w, const int16_t *a, int64_t lda, int64_t rows, uint8_t *planes) {
  VI *sums = (VI *)(void *)(planes + rows * plan->plane_pitch), *sum = sums;
  VI factor = vi_set(w->zero_points ? 1 : (1 << (w->bits - 1)) - plan->shift);
  for (int64_t r = 0; r < rows; r++, a += lda) {
    uint8_t *to = planes + r * plan->plane_pitch;
    for (int64_t at = 0; at < plan->steps;) {
      int64_t span_end = dso_min_i64(at + plan->span_steps, plan->steps);
      while (at < span_end) {
        VI total = vi_zero();
        for (int64_t end = dso_min_i64(at + plan->run_steps, span_end); at < end; at++) {
          total = vi_add(total, arrange_step(plan, a + at * plan->step, dso_min_i64(plan->step, w->k - at * plan->step), to));
          to += plan->step / STEP_CODES * PLANE_BYTES;
        }
        *sum++ = vi_mul(total, factor);
      }
    }
  }
  return sums;
}

/// The scale of each lane in a piece whose group, or first group, is `group` of all (`left` to the end of its row), and with zero points
/// what is too much in its stored codes. `single`: no groups share steps.
INLINE VF lane_scales(const dso_weights *w, const wide_plan *plan, int single, int symmetric, int64_t group, int64_t left, VI *offsets) {
  const float *scales = w->scales + group;
  const int8_t *zero_points = symmetric || !w->zero_points ? NULL : w->zero_points + group;
  int base = (1 << (w->bits - 1)) - plan->shift;
  (void)left, (void)single;
#if SHARED_STEPS
  if (!single && plan->together > 1) {
    int64_t count = dso_min_i64(plan->together, left);
    if (zero_points) *offsets = vi_add(spread_zero_points(zero_points, count, plan->together), vi_set(base));
    return spread_scales(scales, count, plan->together);
  }
#endif
  if (zero_points) *offsets = vi_set(base + *zero_points);
  return vf_set(*scales);
}

#endif
