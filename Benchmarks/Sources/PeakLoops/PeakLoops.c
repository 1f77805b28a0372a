#include "PeakLoops.h"

/// Independent chains: latency times units of every processor we know fits.
enum { CHAINS = 16 };

/// Keeps the accumulators alive without storing them where it would cost time.
static volatile float float_sink;
static volatile int code_sink;

/// Eight accumulators of whatever width the compiler has.
static void read_words(const uint64_t *words, int64_t bytes) {
  uint64_t acc[8] = {0};
  for (int64_t i = 0; i < bytes / 8; i += 8)
    for (int j = 0; j < 8; j++) acc[j] += words[i + j];
  for (int j = 0; j < 8; j++) code_sink += (int)acc[j];
}

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512vnni")))
#define BF16 __attribute__((target("avx512f,avx512bf16")))
#define AVX2 __attribute__((target("avx2,fma")))

AVX512 static int64_t float_avx512(int64_t rounds) {
  __m512 acc[CHAINS], x = _mm512_set1_ps(0.5f), y = _mm512_set1_ps(0.25f);
  for (int i = 0; i < CHAINS; i++) acc[i] = _mm512_set1_ps((float)i);
  for (int64_t r = 0; r < rounds; r++)
#pragma clang loop unroll(full)
    for (int i = 0; i < CHAINS; i++) acc[i] = _mm512_fmadd_ps(acc[i], x, y);
  for (int i = 0; i < CHAINS; i++) float_sink += _mm512_reduce_add_ps(acc[i]);
  return rounds * CHAINS * 16 * 2;
}

AVX512 static int64_t codes_avx512(int64_t rounds) {
  __m512i acc[CHAINS], x = _mm512_set1_epi8(3), y = _mm512_set1_epi8(5);
  for (int i = 0; i < CHAINS; i++) acc[i] = _mm512_set1_epi32(i);
  for (int64_t r = 0; r < rounds; r++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < CHAINS; i++) acc[i] = _mm512_dpbusd_epi32(acc[i], x, y);
    // Without this the loop is a multiplication.
    __asm__ volatile("" : "+v"(x), "+v"(y));
  }
  for (int i = 0; i < CHAINS; i++) code_sink += _mm512_reduce_add_epi32(acc[i]);
  return rounds * CHAINS * 64 * 2;
}

BF16 static int64_t bfloat_avx512(int64_t rounds) {
  __m512 acc[CHAINS];
  __m512i x = _mm512_set1_epi32(0x3f003f00), y = _mm512_set1_epi32(0x3e803e80);
  for (int i = 0; i < CHAINS; i++) acc[i] = _mm512_set1_ps((float)i);
  for (int64_t r = 0; r < rounds; r++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < CHAINS; i++) acc[i] = _mm512_dpbf16_ps(acc[i], (__m512bh)x, (__m512bh)y);
    __asm__ volatile("" : "+v"(x), "+v"(y));
  }
  for (int i = 0; i < CHAINS; i++) float_sink += _mm512_reduce_add_ps(acc[i]);
  return rounds * CHAINS * 32 * 2;
}

AVX512 static void read_avx512(const uint8_t *memory, int64_t bytes) {
  __m512i acc[8];
  for (int i = 0; i < 8; i++) acc[i] = _mm512_setzero_si512();
  for (int64_t i = 0; i < bytes; i += 512)
#pragma clang loop unroll(full)
    for (int j = 0; j < 8; j++) acc[j] = _mm512_add_epi32(acc[j], _mm512_loadu_si512(memory + i + 64 * j));
  for (int i = 0; i < 8; i++) code_sink += _mm512_reduce_add_epi32(acc[i]);
}

AVX2 static void read_avx2(const uint8_t *memory, int64_t bytes) {
  __m256i acc[8];
  for (int i = 0; i < 8; i++) acc[i] = _mm256_setzero_si256();
  for (int64_t i = 0; i < bytes; i += 256)
#pragma clang loop unroll(full)
    for (int j = 0; j < 8; j++) acc[j] = _mm256_add_epi32(acc[j], _mm256_loadu_si256((const __m256i *)(memory + i + 32 * j)));
  for (int i = 0; i < 8; i++) code_sink += _mm256_extract_epi32(acc[i], 0);
}

AVX2 static int64_t float_avx2(int64_t rounds) {
  enum { FEW = 12 };
  __m256 acc[FEW], x = _mm256_set1_ps(0.5f), y = _mm256_set1_ps(0.25f);
  for (int i = 0; i < FEW; i++) acc[i] = _mm256_set1_ps((float)i);
  for (int64_t r = 0; r < rounds; r++)
#pragma clang loop unroll(full)
    for (int i = 0; i < FEW; i++) acc[i] = _mm256_fmadd_ps(acc[i], x, y);
  for (int i = 0; i < FEW; i++) float_sink += _mm256_cvtss_f32(acc[i]);
  return rounds * FEW * 8 * 2;
}

AVX2 static int64_t codes_avx2(int64_t rounds) {
  enum { FEW = 12 };
  __m256i acc[FEW], x = _mm256_set1_epi16(3), y = _mm256_set1_epi16(5);
  for (int i = 0; i < FEW; i++) acc[i] = _mm256_set1_epi32(i);
  for (int64_t r = 0; r < rounds; r++)
#pragma clang loop unroll(full)
    for (int i = 0; i < FEW; i++) {
      acc[i] = _mm256_add_epi32(acc[i], _mm256_madd_epi16(x, y));
      __asm__ volatile("" : "+x"(x));
    }
  for (int i = 0; i < FEW; i++) code_sink += _mm256_extract_epi32(acc[i], 0);
  return rounds * FEW * 16 * 2;
}
#elif defined(__aarch64__)
#include <arm_neon.h>

static int64_t float_neon(int64_t rounds) {
  float32x4_t acc[CHAINS], x = vdupq_n_f32(0.5f), y = vdupq_n_f32(0.25f);
  for (int i = 0; i < CHAINS; i++) acc[i] = vdupq_n_f32((float)i);
  for (int64_t r = 0; r < rounds; r++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < CHAINS; i++) acc[i] = vfmaq_f32(acc[i], x, y);
    __asm__ volatile("" : "+w"(x), "+w"(y));
  }
  for (int i = 0; i < CHAINS; i++) float_sink += vaddvq_f32(acc[i]);
  return rounds * CHAINS * 4 * 2;
}

__attribute__((target("dotprod"))) static int64_t codes_neon(int64_t rounds) {
  int32x4_t acc[CHAINS];
  int8x16_t x = vdupq_n_s8(3), y = vdupq_n_s8(5);
  for (int i = 0; i < CHAINS; i++) acc[i] = vdupq_n_s32(i);
  for (int64_t r = 0; r < rounds; r++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < CHAINS; i++) acc[i] = vdotq_s32(acc[i], x, y);
    __asm__ volatile("" : "+w"(x), "+w"(y));
  }
  for (int i = 0; i < CHAINS; i++) code_sink += vaddvq_s32(acc[i]);
  return rounds * CHAINS * 16 * 2;
}
#endif

int64_t peak_float(peak_set set, int64_t rounds) {
  switch (set) {
#if defined(__x86_64__)
    case PEAK_AVX512: return float_avx512(rounds);
    case PEAK_AVX2: return float_avx2(rounds);
#elif defined(__aarch64__)
    case PEAK_NEON: return float_neon(rounds);
#endif
    default: return 0;
  }
}

int64_t peak_bfloat(peak_set set, int64_t rounds) {
#if defined(__x86_64__)
  if (set == PEAK_AVX512) return bfloat_avx512(rounds);
#endif
  return peak_float(set, rounds);
}

int64_t peak_codes(peak_set set, int64_t rounds) {
  switch (set) {
#if defined(__x86_64__)
    case PEAK_AVX512: return codes_avx512(rounds);
    case PEAK_AVX2: return codes_avx2(rounds);
#elif defined(__aarch64__)
    case PEAK_NEON: return codes_neon(rounds);
#endif
    default: return 0;
  }
}

void read_stream(peak_set set, const void *memory, int64_t bytes) {
#if defined(__x86_64__)
  if (set == PEAK_AVX512) {
    read_avx512(memory, bytes);
    return;
  }
  if (set == PEAK_AVX2) {
    read_avx2(memory, bytes);
    return;
  }
#endif
  (void)set;
  read_words(memory, bytes);
}
