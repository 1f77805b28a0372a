/// Packed codes, and rounding to a given grid: the same bits in every set.
#include "check.h"

static const int64_t more[] = {0, 32, 1000};
enum { COUNTS = BOUNDARIES + 3 };

static int64_t count_at(int64_t i) { return i < BOUNDARIES ? boundaries[i] : more[i - BOUNDARIES]; }

static uint8_t *random_codes(int64_t count, int bits) {
  uint8_t *codes = take(count);
  for (int64_t i = 0; i < count; i++) codes[i] = (uint8_t)(any() & ((1u << bits) - 1u));
  return codes;
}

static void packing(int back) {
  for (int bits = 2; bits <= 8; bits++) {
    for (int64_t i = 0; i < COUNTS; i++) {
      int64_t count = count_at(i), size = (count * bits + 31) / 32 * 4;
      about("%lld codes of %d bits", (long long)count, bits);
      const uint8_t *codes = random_codes(count, bits);
      uint32_t *words = take(size);
      memset(words, 0xaa, (size_t)size);
      dso_pack_codes(codes, count, bits, words);
      uint8_t *unpacked = take(count);
      memset(unpacked, 0xaa, (size_t)count);
      dso_unpack_codes(words, count, bits, unpacked);
      if (!back) same("words", words, size);
      agree("codes that were packed", unpacked, codes, count);
    }
  }
}

static void pack(void) { packing(0); }
static void unpack(void) { packing(1); }

static void dequantize(void) {
  for (int64_t i = 0; i <= BOUNDARIES; i++) {
    for (int64_t j = 0; j < WEIGHT_KINDS; j++) {
      if ((i + j) % 2) continue;
      int64_t k = i < BOUNDARIES ? boundaries[i] : 1030, ld = k + 1;
      about("k %lld storage %lld", (long long)k, (long long)j);
      dso_weights w = weights_of(weight_kinds[j], 4, k);
      float *out = blank(3 * ld - 1);
      dso_dequantize(&w, 1, 4, out, ld);
      same("weights", out, (3 * ld - 1) * 4);
    }
  }
}

static void min_max(void) {
  for (int64_t i = 0; i < BOUNDARIES; i++) {
    for (int way = 0; way < 5; way++) {
      int64_t count = boundaries[i], nonfinite = -1;
      float *x = floats(count, -2, 2), low = 0, high = 0;
      if (way == 1) x[count / 2] = NAN;
      if (way == 2) x[count - 1] = INFINITY;
      if (way == 4) x[0] = -INFINITY;
      for (int64_t j = 0; way == 3 && j < count; j++) x[j] = NAN;
      about("%lld, %d", (long long)count, way);
      dso_min_max(x, count, &low, &high, &nonfinite);
      same("lowest", &low, 4);
      same("highest", &high, 4);
      same("not finite", &nonfinite, 8);
    }
  }
}

static void quantize_group(void) {
  for (int bits = 2; bits <= 8; bits++) {
    int half = 1 << (bits - 1);
    const struct {
      float scale;
      int zero;
    } grids[] = {{0.07f, 0}, {0.5f, half - 1}, {2, -half}, {1, 1}, {0, -1}, {1e-3f, 0}, {-0.3f, 0}};
    for (int64_t i = 0; i < BOUNDARIES; i++) {
      for (int64_t g = 0; g < COUNT(grids); g++) {
        int64_t count = boundaries[i];
        float scale = grids[g].scale, *x = floats(count, -3, 3);
        const float odd[] = {scale * 0.5f, scale * 1.5f, -scale * 2.5f, scale * (float)half * 4, -scale * ((float)half + 0.5f), NAN};
        for (int64_t j = 0; j < COUNT(odd) && j < count; j++) x[j] = odd[j];
        uint8_t *codes = take(count);
        memset(codes, 0xaa, (size_t)count);
        about("%lld, %d bits, grid %lld", (long long)count, bits, (long long)g);
        int64_t clamped = dso_quantize_group(x, count, scale, grids[g].zero, bits, codes);
        same("codes", codes, count);
        same("clamped", &clamped, 8);
      }
    }
  }
}

const kernel_case packing_cases[] = {{"dso_pack_codes", pack},     {"dso_unpack_codes", unpack},
                                     {"dso_dequantize", dequantize}, {"dso_min_max", min_max},
                                     {"dso_quantize_group", quantize_group}, {NULL, NULL}};
