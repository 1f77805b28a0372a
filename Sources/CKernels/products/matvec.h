/// Products of few rows (decode): every row of weights is streamed once and decoded in registers.
#ifndef DSO_MATVEC_H
#define DSO_MATVEC_H

#include "../conversions/scalar.h"
#include "../quantization/dequantize.h"

/// How LANES weights are read; all but bytes are read at an element index. Levels: four-bit codes, a byte each, into a table of 16.
typedef enum { READ_F32, READ_BF16, READ_F16, READ_BYTES, READ_LEVELS } reading;

INLINE VF read_weights(reading kind, const uint8_t *from, int64_t i, const float *levels) {
  switch (kind) {
    case READ_F32: return vf_load((const float *)(const void *)(from + 4 * i));
    case READ_BF16: return vf_load_bf16(from + 2 * i);
    case READ_F16: return vf_load_f16(from + 2 * i);
    case READ_BYTES: return vf_of_vi(vi_load_u8(from + i));
    case READ_LEVELS: return vf_look_up(vt_load(levels), vi_load_u8(from + i));
  }
}

INLINE float read_weight(reading kind, const uint8_t *from, int64_t i, const float *levels) {
  float wide;
  uint16_t half;
  switch (kind) {
    case READ_F32: memcpy(&wide, from + 4 * i, sizeof wide); return wide;
    case READ_BF16: memcpy(&half, from + 2 * i, sizeof half); return dso_f32_of_bf16(half);
    case READ_F16: memcpy(&half, from + 2 * i, sizeof half); return dso_f32_of_f16(half);
    case READ_BYTES: return (float)from[i];
    case READ_LEVELS: return levels[from[i]];
  }
}

enum {
  /// Accumulators of a row: enough to hide the latency of the additions of one row, and the same for all, so that no bit depends on m.
  STREAM_PARTS = 4,
  /// Rows of activations that a decoded weight is used for; more rows pass over the same few rows of weights again, in cache.
  STREAM_ROWS = LANES == 8 ? 2 : 4,
  STREAM_BLOCK = 8,
  /// How far ahead weights are asked for, in bytes: without it a processor comes to rest at the end of every row. What loops that spend
  /// more on each byte want lies in the next page.
  STREAM_AHEAD = 1024,
  STREAM_AHEAD_CODES = 6144,
  STREAM_AHEAD_DENSE = 8192,
  /// Bytes of activations that leave room for a stream of weights in the first cache.
  STREAM_ROOM = 16 << 10,
};

/// Asks for what lies `ahead` of `bytes` bytes of weights; 0 for weights that were decoded to the stack.
INLINE void ask_ahead(const uint8_t *weights, int64_t bytes, int64_t ahead) {
  for (int64_t b = 0; ahead > 0 && b < bytes; b += 64) __builtin_prefetch(weights + b + ahead, 0, 2);
}

/// totals[r] and rests[r] += scale * sum of (weight - offset) * a over `count` elements, a[r] = a + r*lda.
INLINE void stream_run(reading kind, int rows, const uint8_t *weights, int64_t ahead, int64_t count, const float *levels, float offset,
                       float scale, const float *a, int64_t lda, VF *totals, float *rests) {
  const int64_t size = kind == READ_F32 ? 4 : kind == READ_BF16 || kind == READ_F16 ? 2 : 1;
  VF acc[STREAM_PARTS][STREAM_ROWS], offsets = vf_set(offset);
  for (int p = 0; p < STREAM_PARTS; p++)
    for (int r = 0; r < rows; r++) acc[p][r] = vf_zero();
  int64_t i = 0;
  // The less is done beside each load, the further ahead the processor sees.
#pragma clang loop unroll_count(4)
  for (; i + STREAM_PARTS * LANES <= count; i += STREAM_PARTS * LANES) {
    ask_ahead(weights + size * i, STREAM_PARTS * LANES * size, ahead);
#pragma clang loop unroll(full)
    for (int p = 0; p < STREAM_PARTS; p++) {
      VF w = read_weights(kind, weights, i + p * LANES, levels);
      if (kind == READ_BYTES) w = vf_sub(w, offsets);
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++) acc[p][r] = vf_fma(w, vf_load(a + r * lda + i + p * LANES), acc[p][r]);
    }
  }
  for (; i + LANES <= count; i += LANES) {
    VF w = read_weights(kind, weights, i, levels);
    if (kind == READ_BYTES) w = vf_sub(w, offsets);
    for (int r = 0; r < rows; r++) acc[0][r] = vf_fma(w, vf_load(a + r * lda + i), acc[0][r]);
  }
  for (int r = 0; r < rows; r++) {
    for (int p = 1; p < STREAM_PARTS; p++) acc[0][r] = vf_add(acc[0][r], acc[p][r]);
    totals[r] = vf_fma(acc[0][r], vf_set(scale), totals[r]);
  }
  for (; i < count; i++) {
    float w = (read_weight(kind, weights, i, levels) - offset) * scale;
    for (int r = 0; r < rows; r++) rests[r] += w * a[r * lda + i];
  }
}

/// What stays the same for all rows of weights of one call.
typedef struct {
  const dso_weights *w;
  const float *a;
  int64_t lda;
  const float *ordered;  ///< the activations in the order of stream_nibbles, [rows, k]
  const float *bias;
  float *c;
  int64_t ldc;
} stream;

#ifdef STREAMS_NIBBLES
static void order_activations(const float *a, int64_t lda, int64_t rows, int64_t k, float *to);
INLINE int64_t stream_nibbles(int rows, const uint8_t *codes, int64_t count, const float *levels, int offset, float scale,
                              const float *ordered, int64_t pitch, VF *totals);
#endif

INLINE void stream_quantized_row(int rows, const stream *s, int64_t row, VF *totals, float *rests) {
  enum { CHUNK = 1024 };
  const dso_weights *w = s->w;
  const uint8_t *data = dso_weight_row(w, row);
  int64_t groups = dso_group_count(w);
  uint8_t codes[CHUNK];
  for (int64_t g = 0; g < groups; g++) {
    int offset = (1 << (w->bits - 1)) + (w->zero_points ? w->zero_points[row * groups + g] : 0);
    float scale = w->scales[row * groups + g];
    int64_t i = g * w->group_size, end = dso_min_i64(w->k, i + w->group_size);
    if (w->minima) {
      for (float values[CHUNK]; i < end; i += CHUNK) {
        int64_t count = dso_min_i64(CHUNK, end - i);
        dequantize_run(w, row, i, count, codes, values);
        stream_run(READ_F32, rows, (const uint8_t *)values, 0, count, NULL, 0, 1, s->a + i, s->lda, totals, rests);
      }
      continue;
    }
    if (w->bits == 8 && !w->levels) {
      stream_run(READ_BYTES, rows, data + i, STREAM_AHEAD_CODES, end - i, NULL, (float)offset, scale, s->a + i, s->lda, totals, rests);
      continue;
    }
#ifdef STREAMS_NIBBLES
    if (s->ordered) i += stream_nibbles(rows, data + i / 2, end - i, w->levels, offset, scale, s->ordered + i, w->k, totals);
#endif
    while (i < end) {
      int64_t count = dso_min_i64(CHUNK, end - i);
      unpack_run(data, w->k, w->bits, i, count, codes);
      if (w->levels && w->bits == 4) {
        stream_run(READ_LEVELS, rows, codes, 0, count, w->levels, 0, scale, s->a + i, s->lda, totals, rests);
      } else if (w->levels) {
        float values[CHUNK];
        for (int64_t at = 0; at < count; at++) values[at] = w->levels[codes[at]];
        stream_run(READ_F32, rows, (const uint8_t *)values, 0, count, NULL, 0, scale, s->a + i, s->lda, totals, rests);
      } else {
        stream_run(READ_BYTES, rows, codes, 0, count, NULL, (float)offset, scale, s->a + i, s->lda, totals, rests);
      }
      i += count;
    }
  }
}

INLINE void stream_rows(int rows, const stream *s, int64_t n_begin, int64_t n_end) {
  const dso_weights *w = s->w;
  for (int64_t j = n_begin; j < n_end; j++) {
    VF totals[STREAM_ROWS];
    float rests[STREAM_ROWS];
    for (int r = 0; r < rows; r++) totals[r] = vf_zero(), rests[r] = 0;
    const uint8_t *data = dso_weight_row(w, j);
    switch (w->storage) {
      case DSO_STORAGE_F32: stream_run(READ_F32, rows, data, STREAM_AHEAD, w->k, NULL, 0, 1, s->a, s->lda, totals, rests); break;
      case DSO_STORAGE_BF16: stream_run(READ_BF16, rows, data, STREAM_AHEAD, w->k, NULL, 0, 1, s->a, s->lda, totals, rests); break;
      case DSO_STORAGE_F16: stream_run(READ_F16, rows, data, STREAM_AHEAD, w->k, NULL, 0, 1, s->a, s->lda, totals, rests); break;
      case DSO_STORAGE_QUANTIZED: stream_quantized_row(rows, s, j, totals, rests); break;
    }
    for (int r = 0; r < rows; r++) s->c[r * s->ldc + j] = vf_sum(totals[r]) + rests[r] + (s->bias ? s->bias[j] : 0);
  }
}

/// Rows begin..<end of dense weights times one row of activations: the sums of stream_rows, with nothing between two rows that can be left out.
INLINE void stream_dense_rows(reading kind, int64_t ahead, const stream *s, int64_t begin, int64_t end) {
  const int64_t k = s->w->k;
  const float *const a = s->a, *const bias = s->bias;
  float *const c = s->c;
  for (int64_t j = begin; j < end; j++) {
    VF total = vf_zero();
    float rest = 0;
    stream_run(kind, 1, dso_weight_row(s->w, j), ahead, k, NULL, 0, 1, a, 0, &total, &rest);
    c[j] = vf_sum(total) + rest + (bias ? bias[j] : 0);
  }
}

/// While the activations leave room in the first cache the processor itself runs ahead furthest; beside longer ones weights must be asked for.
#define STREAM_DENSE(kind)                                                       \
  if (4 * w->k <= STREAM_ROOM) {                                                 \
    stream_dense_rows(kind, 0, &s, n_begin, n_end);                              \
  } else {                                                                       \
    stream_dense_rows(kind, STREAM_AHEAD_DENSE, &s, n_begin, n_end);             \
  }

/// One row of activations times dense weights.
static void stream_dense(const float *a, const dso_weights *w, int64_t n_begin, int64_t n_end, const float *bias, float *c) {
  stream s = {w, a, 0, NULL, bias, c, 0};
  switch (w->storage) {
    case DSO_STORAGE_F32: STREAM_DENSE(READ_F32) break;
    case DSO_STORAGE_BF16: STREAM_DENSE(READ_BF16) break;
    case DSO_STORAGE_F16: STREAM_DENSE(READ_F16) break;
    case DSO_STORAGE_QUANTIZED: break;
  }
}
#undef STREAM_DENSE

void DSO_KERNEL(matvec_f32)(const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end,
                            const float *bias, float *c, int64_t ldc, void *scratch) {
  const float *ordered = NULL;
#ifdef STREAMS_NIBBLES
  int ordering = w->storage == DSO_STORAGE_QUANTIZED && w->bits == 4 && !w->minima && (w->group_size % 128 == 0 || w->group_size >= w->k);
#endif
  if (m == 1 && w->storage != DSO_STORAGE_QUANTIZED) {
    stream_dense(a, w, n_begin, n_end, bias, c);
    return;
  }
  for (int64_t slice = 0; slice < m; slice += 8) {
    int64_t slice_end = dso_min_i64(m, slice + 8);
#ifdef STREAMS_NIBBLES
    if (ordering) {
      order_activations(a + slice * lda, lda, slice_end - slice, w->k, scratch);
      ordered = scratch;
    }
#else
    (void)scratch;
#endif
    for (int64_t j = n_begin; j < n_end; j += STREAM_BLOCK) {
      int64_t end = dso_min_i64(n_end, j + STREAM_BLOCK);
      for (int64_t row = slice; row < slice_end; row += STREAM_ROWS) {
        stream s = {w, a + row * lda, lda, ordered ? ordered + (row - slice) * w->k : NULL, bias, c + row * ldc, ldc};
        switch (dso_min_i64(STREAM_ROWS, slice_end - row)) {
          case 1: stream_rows(1, &s, j, end); break;
          case 2: stream_rows(2, &s, j, end); break;
#if LANES != 8
          case 3: stream_rows(3, &s, j, end); break;
          case 4: stream_rows(4, &s, j, end); break;
#endif
        }
      }
    }
  }
}

#endif
