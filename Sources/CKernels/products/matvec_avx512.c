/// Products of few rows for AVX-512. Four-bit codes become floats by one table look-up: of their levels, or of what the offset leaves.
#if defined(__x86_64__)
#include "../vectors/avx512.h"

#define STREAMS_NIBBLES
#include "matvec.h"

/// 128 codes are 16 words of 8 nibbles: nibble s of word d is code 8d+s. The activations are laid out to match: s first, then d.
static void order_activations(const float *a, int64_t lda, int64_t rows, int64_t k, float *to) {
  for (int64_t r = 0; r < rows; r++)
    for (int64_t begin = 0; begin + 128 <= k; begin += 128)
      for (int64_t s = 0; s < 8; s++)
        for (int64_t d = 0; d < 16; d++) to[r * k + begin + 16 * s + d] = a[r * lda + begin + 8 * d + s];
}

/// As stream_run, for the whole runs of 128 codes in a group. Returns how many codes that were.
INLINE int64_t stream_nibbles(int rows, const uint8_t *codes, int64_t count, const float *levels, int offset, float scale,
                              const float *ordered, int64_t pitch, VF *totals) {
  VF values = vf_sub(_mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), vf_set((float)offset));
  if (levels) values = vt_load(levels);
  VF acc[STREAM_PARTS][STREAM_ROWS];
  for (int p = 0; p < STREAM_PARTS; p++)
    for (int r = 0; r < rows; r++) acc[p][r] = vf_zero();
  int64_t i = 0;
  for (; i + 128 <= count; i += 128) {
    ask_ahead(codes + i / 2, 64, STREAM_AHEAD_CODES);
    VI words = vi_load(codes + i / 2);
#pragma clang loop unroll(full)
    for (int s = 0; s < 8; s++) {
      // The look-up reads the low four bits of each word only.
      VF w = vf_look_up(values, _mm512_srli_epi32(words, (unsigned)(4 * s)));
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++) {
        VF *sum = &acc[s % STREAM_PARTS][r];
        *sum = vf_fma(w, vf_load(ordered + r * pitch + i + 16 * s), *sum);
      }
    }
  }
  for (int r = 0; r < rows; r++) {
    for (int p = 1; p < STREAM_PARTS; p++) acc[0][r] = vf_add(acc[0][r], acc[p][r]);
    totals[r] = vf_fma(acc[0][r], vf_set(scale), totals[r]);
  }
  return i;
}

#include "../vectors/end.h"
#endif
