#if defined(__x86_64__)
#include "sha256_blocks.h"

#include <cpuid.h>
#include <immintrin.h>
#include <stdatomic.h>

static int find_x86(void) {
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
  return (b >> 29 & 1) && __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("ssse3");
}

int dso_sha256_has_x86(void) {
  // Asked once: virtual machines answer that instruction in software. 0 stands for not yet, 1 for no, 2 for yes.
  static _Atomic int known;
  int found = atomic_load_explicit(&known, memory_order_relaxed);
  if (found == 0) {
    found = 1 + find_x86();
    atomic_store_explicit(&known, found, memory_order_relaxed);
  }
  return found == 2;
}

#define SHA __attribute__((target("sha,sse4.1,ssse3")))
#define INLINE static inline __attribute__((always_inline)) SHA

/// The instructions keep the state as two vectors, {A, B, E, F} and {C, D, G, H} from the highest lane down, and do two rounds each.
typedef struct {
  __m128i abef, cdgh;
} pair;

INLINE pair load_state(const uint32_t state[8]) {
  pair p = {_mm_set_epi32((int)state[0], (int)state[1], (int)state[4], (int)state[5]),
            _mm_set_epi32((int)state[2], (int)state[3], (int)state[6], (int)state[7])};
  return p;
}

INLINE void store_state(pair p, uint32_t state[8]) {
  state[0] = (uint32_t)_mm_extract_epi32(p.abef, 3), state[1] = (uint32_t)_mm_extract_epi32(p.abef, 2);
  state[4] = (uint32_t)_mm_extract_epi32(p.abef, 1), state[5] = (uint32_t)_mm_extract_epi32(p.abef, 0);
  state[2] = (uint32_t)_mm_extract_epi32(p.cdgh, 3), state[3] = (uint32_t)_mm_extract_epi32(p.cdgh, 2);
  state[6] = (uint32_t)_mm_extract_epi32(p.cdgh, 1), state[7] = (uint32_t)_mm_extract_epi32(p.cdgh, 0);
}

INLINE void load_block(const uint8_t *bytes, __m128i w[4]) {
  const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  for (int i = 0; i < 4; i++) w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(bytes + 16 * i)), swap);
}

/// Rounds 4*i to 4*i+3.
INLINE void four_rounds(pair *p, __m128i w[4], int i) {
  __m128i words = w[i % 4];
  __m128i input = _mm_add_epi32(words, _mm_loadu_si128((const __m128i *)(dso_sha256_constants + 4 * i)));
  p->cdgh = _mm_sha256rnds2_epu32(p->cdgh, p->abef, input);
  p->abef = _mm_sha256rnds2_epu32(p->abef, p->cdgh, _mm_shuffle_epi32(input, 0x0E));
  if (i < 12) {
    // Words 16 places on: w[t-16] + s0(w[t-15]) + w[t-7] + s1(w[t-2]).
    __m128i next = _mm_sha256msg1_epu32(words, w[(i + 1) % 4]);
    next = _mm_add_epi32(next, _mm_alignr_epi8(w[(i + 3) % 4], w[(i + 2) % 4], 4));
    w[i % 4] = _mm_sha256msg2_epu32(next, w[(i + 3) % 4]);
  }
}

INLINE pair sum(pair p, pair before) {
  pair result = {_mm_add_epi32(p.abef, before.abef), _mm_add_epi32(p.cdgh, before.cdgh)};
  return result;
}

SHA void dso_sha256_blocks_x86(uint32_t state[8], const uint8_t *bytes, size_t blocks) {
  pair p = load_state(state);
  for (; blocks > 0; blocks--, bytes += 64) {
    pair before = p;
    __m128i w[4];
    load_block(bytes, w);
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i++) four_rounds(&p, w, i);
    p = sum(p, before);
  }
  store_state(p, state);
}

SHA void dso_sha256_two_x86(uint32_t first[8], const uint8_t *first_bytes, uint32_t second[8], const uint8_t *second_bytes, size_t blocks) {
  pair p = load_state(first), q = load_state(second);
  for (; blocks > 0; blocks--, first_bytes += 64, second_bytes += 64) {
    pair p_before = p, q_before = q;
    __m128i w[4], v[4];
    load_block(first_bytes, w);
    load_block(second_bytes, v);
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i++) {
      four_rounds(&p, w, i);
      four_rounds(&q, v, i);
    }
    p = sum(p, p_before);
    q = sum(q, q_before);
  }
  store_state(p, first);
  store_state(q, second);
}
#endif
