/// Products of few rows of 16-bit activations (decode): every row of weights is streamed once, its stored codes are multiplied as integers.
///
/// A row of weights is read in steps, and steps add up to pieces of one group (or of several that share a step, each in lanes of its own).
/// Within a piece sums are exact integers per lane; each piece is scaled and added in float per lane, in the order of K. So however many
/// rows of weights and activations a loop takes at once, an element's bits are the same.
#ifndef DSO_MATVEC_S16_H
#define DSO_MATVEC_S16_H

#include <math.h>

#include "arrange_s16.h"
#include "blocking.h"
#include "readings_s16.h"

enum {
  /// Most rows of activations in one arrangement, and most rows of them and of weights in registers at once.
  WIDE_SLICE = 8,
  WIDE_ROWS = 4,
  WIDE_WEIGHT_ROWS = 4,
  /// How far ahead of its use memory is asked for, at least.
  WIDE_AHEAD = 16 << 10,
  /// Of one row of activations: how far ahead nibbles are asked for, and pieces of one step at once.
  SINGLE_AHEAD = 8 << 10,
  SINGLE_PIECES = 4,
};

/// What stays the same for all rows of weights of a slice of rows of activations.
typedef struct {
  const dso_weights *w;
  wide_plan plan;
  const uint8_t *planes;  ///< [rows, plane_pitch]
  const VI *sums;         ///< [rows, plan.pieces]
  const int16_t *a;
  int64_t lda;
  const float *a_scales;
  const float *bias;
  float *c;
  int64_t ldc;
} wide_stream;

/// What is known of the groups where a loop is compiled: each has steps of its own, without or with zero points; or nothing.
typedef enum { GROUPS_SYMMETRIC, GROUPS_ASYMMETRIC, GROUPS_ANY } wide_groups;

/// acc += one step of every row of weights times that of every row of activations. `left`: bytes of a row from here on.
INLINE void add_step(wide_reading kind, int height, int rows, const wide_bits *bits, const uint8_t *from, int64_t row_bytes, int64_t left,
                     const uint8_t *planes, int64_t pitch, VI acc[WIDE_WEIGHT_ROWS][WIDE_ROWS][WIDE_PARTS]) {
  VI codes[2][WIDE_WEIGHT_ROWS];
  int parts = kind == READ_NIBBLES ? 2 : 1;
#pragma clang loop unroll(full)
  for (int w = 0; w < height; w++) load_step(kind, bits, from + w * row_bytes, left, &codes[0][w], &codes[1][w]);
#pragma clang loop unroll(full)
  for (int p = 0; p < parts; p++) {
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
#pragma clang loop unroll(full)
      for (int w = 0; w < height; w++) add_codes(acc[w][r], codes[p][w], planes + r * pitch + p * PLANE_BYTES);
    }
  }
}

/// total and a piece, scaled; `much`: what its activations add up to.
INLINE VF add_piece(wide_groups known, const dso_weights *w, VF scales, VI offsets, const VI acc[WIDE_PARTS], VI much, VF total) {
  if (known != GROUPS_SYMMETRIC && w->zero_points) much = vi_mul(much, offsets);
  return vf_fma(scales, vf_of_vi(vi_sub(join_parts(acc), much)), total);
}

/// Rows row..<row+height of the weights times `rows` rows of activations from `first` on.
INLINE void stream_wide_rows(wide_reading kind, wide_groups known, int height, int rows, const wide_stream *s, int64_t first, int64_t row) {
  const dso_weights *w = s->w;
  const wide_plan *plan = &s->plan;
  const wide_bits bits = plan->bits;
  const int64_t row_bytes = w->row_bytes, pitch = plan->plane_pitch, pieces = plan->pieces, groups = plan->groups;
  const uint8_t *from = dso_weight_row(w, row), *planes = s->planes + first * pitch;
  const VI *sums = s->sums + first * pieces;
  const int64_t bytes = step_bytes(kind, w->bits), steps = plan->steps, span = plan->span_steps, run = plan->run_steps;
  const int64_t together = known == GROUPS_ANY ? plan->together : 1;
  const uint8_t *next = from + (height * row_bytes < WIDE_AHEAD ? WIDE_AHEAD : height * row_bytes);
  int64_t left = (w->k * w->bits + 7) >> 3;
  VF totals[WIDE_WEIGHT_ROWS][WIDE_ROWS];
  for (int j = 0; j < height; j++)
    for (int r = 0; r < rows; r++) totals[j][r] = vf_zero();
  for (int64_t g = 0, at = 0; at < steps; g += together) {
    int64_t span_end = dso_min_i64(at + span, steps);
    while (at < span_end) {
      VI acc[WIDE_WEIGHT_ROWS][WIDE_ROWS][WIDE_PARTS];
#pragma clang loop unroll(full)
      for (int j = 0; j < height; j++) {
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
          for (int p = 0; p < WIDE_PARTS; p++) acc[j][r][p] = vi_zero();
        }
      }
      for (int64_t end = dso_min_i64(at + run, span_end); at < end; at++) {
        // The rows are one stretch of memory: asked for in its order, whatever the order in which they are multiplied.
#pragma clang loop unroll(full)
        for (int j = 0; j < height; j++) __builtin_prefetch(next + j * bytes, 0, 2);
        next += height * bytes;
        add_step(kind, height, rows, &bits, from, row_bytes, left, planes, pitch, acc);
        from += bytes;
        left -= bytes;
        planes += PLANE_BYTES * (kind == READ_NIBBLES ? 2 : 1);
      }
#pragma clang loop unroll(full)
      for (int j = 0; j < height; j++) {
        VI offsets = vi_zero();
        VF scales = lane_scales(w, plan, known != GROUPS_ANY, known == GROUPS_SYMMETRIC, (row + j) * groups + g, groups - g, &offsets);
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) totals[j][r] = add_piece(known, w, scales, offsets, acc[j][r], sums[r * pieces], totals[j][r]);
      }
      sums++;
    }
  }
  for (int j = 0; j < height; j++)
    for (int r = 0; r < rows; r++)
      s->c[(first + r) * s->ldc + row + j] =
          vf_sum(totals[j][r]) * s->a_scales[first + r] + (s->bias ? s->bias[row + j] : 0);
}

/// acc += `steps` whole steps of one row of weights, from `from` on, times one row of activations.
INLINE void add_whole_steps(wide_reading kind, int steps, const wide_bits *bits, const uint8_t *from, const uint8_t *planes,
                            VI acc[WIDE_WEIGHT_ROWS][WIDE_ROWS][WIDE_PARTS]) {
#pragma clang loop unroll(full)
  for (int i = 0; i < steps; i++) {
    // Bytes cost so little that the processor itself runs ahead; nibbles keep it from looking as far as memory is away.
    if (kind == READ_NIBBLES) __builtin_prefetch(from + i * STEP_CODES + SINGLE_AHEAD, 0, 2);
    add_step(kind, 1, 1, bits, from + i * STEP_CODES, 0, STEP_CODES, planes + i * PLANE_BYTES * (kind == READ_NIBBLES ? 2 : 1), 0, acc);
  }
}

INLINE void clear_piece(VI acc[WIDE_WEIGHT_ROWS][WIDE_ROWS][WIDE_PARTS]) {
  for (int p = 0; p < WIDE_PARTS; p++) acc[0][0][p] = vi_zero();
}

/// Rows begin..<end of bytes or nibbles times one row of activations: the sums of stream_wide_rows, but memory is read in its own order, in
/// which it gives most, and nothing is done a row that can be done before.
INLINE void stream_single_rows(wide_reading kind, wide_groups known, const wide_stream *s, int64_t first, int64_t begin, int64_t end) {
  const dso_weights w = *s->w;
  const wide_plan plan = s->plan;
  const int64_t together = known == GROUPS_ANY ? plan.together : 1, plane_bytes = PLANE_BYTES * (kind == READ_NIBBLES ? 2 : 1);
  const int64_t row_bytes = (w.k * w.bits + 7) >> 3, whole = row_bytes / STEP_CODES;
  const int many = kind == READ_NIBBLES ? 2 : 8;
  const uint8_t *const planes = s->planes + first * plan.plane_pitch;
  const VI *const sums = s->sums + first * plan.pieces;
  const float a_scale = s->a_scales[first], *const bias = s->bias;
  float *const c = s->c + first * s->ldc;
  for (int64_t row = begin; row < end; row++) {
    const uint8_t *from = dso_weight_row(&w, row);
    int64_t g = 0, at = 0, piece = 0;
    VF total = vf_zero(), scales;
    VI offsets = vi_zero(), acc[WIDE_WEIGHT_ROWS][WIDE_ROWS][WIDE_PARTS];
    if (known != GROUPS_ANY && plan.span_steps == 1) {
      for (; at + SINGLE_PIECES <= whole; at += SINGLE_PIECES, g += SINGLE_PIECES) {
#pragma clang loop unroll(full)
        for (int i = 0; i < SINGLE_PIECES; i++) {
          clear_piece(acc);
          add_whole_steps(kind, 1, &plan.bits, from + (at + i) * STEP_CODES, planes + (at + i) * plane_bytes, acc);
          scales = lane_scales(&w, &plan, known != GROUPS_ANY, known == GROUPS_SYMMETRIC, row * plan.groups + g + i, 1, &offsets);
          total = add_piece(known, &w, scales, offsets, acc[0][0], sums[piece++], total);
        }
      }
    }
    while (at < plan.steps) {
      int64_t span_end = dso_min_i64((g / together + 1) * plan.span_steps, plan.steps);
      while (at < span_end) {
        clear_piece(acc);
        int64_t piece_end = dso_min_i64(at + plan.run_steps, span_end);
        for (int64_t last = dso_min_i64(piece_end, whole) - many; at <= last; at += many)
          add_whole_steps(kind, many, &plan.bits, from + at * STEP_CODES, planes + at * plane_bytes, acc);
        for (; at < piece_end; at++) {
          if (kind == READ_NIBBLES) __builtin_prefetch(from + at * STEP_CODES + SINGLE_AHEAD, 0, 2);
          add_step(kind, 1, 1, &plan.bits, from + at * STEP_CODES, 0, row_bytes - at * STEP_CODES, planes + at * plane_bytes, 0, acc);
        }
        scales = lane_scales(&w, &plan, known != GROUPS_ANY, known == GROUPS_SYMMETRIC, row * plan.groups + g, plan.groups - g, &offsets);
        total = add_piece(known, &w, scales, offsets, acc[0][0], sums[piece++], total);
      }
      g += together;
    }
    c[row] = vf_sum(total) * a_scale + (bias ? bias[row] : 0);
  }
}

/// Groups that do not fit the steps: unpacked, and summed as dso_matmul_s16 does.
static void stream_odd_row(const wide_stream *s, int64_t rows, int64_t row) {
  const dso_weights *w = s->w;
  const uint8_t *data = dso_weight_row(w, row);
  int64_t groups = dso_group_count(w), run = dso_wide_run(w);
  float totals[WIDE_SLICE] = {0};
  uint8_t codes[DSO_WIDE_RUN];
  for (int64_t g = 0; g < groups; g++) {
    int offset = (1 << (w->bits - 1)) + (w->zero_points ? w->zero_points[row * groups + g] : 0);
    int64_t group_end = dso_min_i64(w->k, (g + 1) * w->group_size);
    for (int64_t begin = g * w->group_size; begin < group_end; begin += run) {
      int64_t count = dso_min_i64(run, group_end - begin);
      unpack_run(data, w->k, w->bits, begin, count, codes);
      for (int64_t r = 0; r < rows; r++) {
        const int16_t *a = s->a + r * s->lda + begin;
        int32_t sum = 0;
        for (int64_t i = 0; i < count; i++) sum += ((int32_t)codes[i] - offset) * a[i];
        totals[r] = fmaf(w->scales[row * groups + g], (float)sum, totals[r]);
      }
    }
  }
  for (int64_t r = 0; r < rows; r++) s->c[r * s->ldc + row] = totals[r] * s->a_scales[r] + (s->bias ? s->bias[row] : 0);
}

/// Rows begin..<end of the weights, times `rows` rows of activations from `first` on.
INLINE void stream_wide_block(wide_reading kind, int rows, const wide_stream *s, int64_t first, int64_t begin, int64_t end) {
  if (SINGLE_ROWS && rows == 1 && kind != READ_BITS) {
    if (s->plan.together > 1) {
      stream_single_rows(kind, GROUPS_ANY, s, first, begin, end);
    } else if (s->w->zero_points) {
      stream_single_rows(kind, GROUPS_ASYMMETRIC, s, first, begin, end);
    } else {
      stream_single_rows(kind, GROUPS_SYMMETRIC, s, first, begin, end);
    }
    return;
  }
  int height = rows <= 2 ? WIDE_WEIGHT_ROWS : WIDE_WEIGHT_ROWS / 2;
  if (s->plan.together > 1) {
    for (; begin + height <= end; begin += height) stream_wide_rows(kind, GROUPS_ANY, height, rows, s, first, begin);
  } else if (s->w->zero_points) {
    for (; begin + height <= end; begin += height) stream_wide_rows(kind, GROUPS_ASYMMETRIC, height, rows, s, first, begin);
  } else {
    for (; begin + height <= end; begin += height) stream_wide_rows(kind, GROUPS_SYMMETRIC, height, rows, s, first, begin);
  }
  for (; begin < end; begin++) stream_wide_rows(kind, GROUPS_ANY, 1, rows, s, first, begin);
}

#define STREAM_CASE(kind, rows) \
  static void stream_##kind##_##rows(const wide_stream *s, int64_t first, int64_t begin, int64_t end) { \
    stream_wide_block(kind, rows, s, first, begin, end); \
  }
#define STREAM_KIND(kind)                                                                                        \
  STREAM_CASE(kind, 1) STREAM_CASE(kind, 2) STREAM_CASE(kind, 3) STREAM_CASE(kind, 4)                            \
  static void stream_##kind(const wide_stream *s, int64_t first, int64_t rows, int64_t begin, int64_t end) {     \
    switch (rows) {                                                                                              \
      case 1: stream_##kind##_1(s, first, begin, end); break;                                                    \
      case 2: stream_##kind##_2(s, first, begin, end); break;                                                    \
      case 3: stream_##kind##_3(s, first, begin, end); break;                                                    \
      default: stream_##kind##_4(s, first, begin, end); break;                                                   \
    }                                                                                                            \
  }
STREAM_KIND(READ_CODE_BYTES)
STREAM_KIND(READ_NIBBLES)
STREAM_KIND(READ_BITS)
#undef STREAM_KIND
#undef STREAM_CASE

void DSO_KERNEL(matvec_s16)(const int16_t *a, int64_t lda, const float *a_scales, int64_t m, const dso_weights *w, int64_t n_begin,
                            int64_t n_end, const float *bias, float *c, int64_t ldc, void *scratch) {
  wide_plan plan = plan_wide(w);
  for (int64_t slice = 0; slice < m; slice += WIDE_SLICE) {
    int64_t rows = dso_min_i64(WIDE_SLICE, m - slice);
    wide_stream s = {w, plan, scratch, NULL, a + slice * lda, lda, a_scales + slice, bias, c + slice * ldc, ldc};
    if (plan.kind == READ_ODD) {
      for (int64_t j = n_begin; j < n_end; j++) stream_odd_row(&s, rows, j);
      continue;
    }
    s.sums = arrange_wide(&plan, w, s.a, lda, rows, scratch);
    // More rows of activations than fit the registers pass over the same few rows of weights again, in cache.
    for (int64_t j = n_begin; j < n_end; j += 2 * WIDE_WEIGHT_ROWS) {
      int64_t end = dso_min_i64(n_end, j + 2 * WIDE_WEIGHT_ROWS);
      for (int64_t r = 0; r < rows; r += WIDE_ROWS) {
        int64_t some = dso_min_i64(WIDE_ROWS, rows - r);
        switch (plan.kind) {
          case READ_CODE_BYTES: stream_READ_CODE_BYTES(&s, r, some, j, end); break;
          case READ_NIBBLES: stream_READ_NIBBLES(&s, r, some, j, end); break;
          default: stream_READ_BITS(&s, r, some, j, end); break;
        }
      }
    }
  }
}

#endif
