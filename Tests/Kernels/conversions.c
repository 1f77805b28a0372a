/// Conversions between floats: the same bits in every set, but for what a NaN carries.
#include "check.h"

static void widen(int bfloat) {
  enum { ALL = 1 << 16 };
  uint16_t *patterns = take(ALL * 2);
  for (int i = 0; i < ALL; i++) patterns[i] = (uint16_t)i;
  for (int64_t count = 0; count <= ALL; count = count < 40 ? count + 1 : count == ALL ? count + 1 : ALL) {
    // At an odd address.
    uint8_t *odd = take(count * 2 + 1) ;
    memcpy(odd + 1, patterns, (size_t)count * 2);
    float *to = blank(count);
    about("%lld", (long long)count);
    (bfloat ? dso_convert_bf16_to_f32 : dso_convert_f16_to_f32)(odd + 1, to, count);
    close_to("floats", to, count, 0, 0);
    for (int64_t i = 0; i < count; i++) to[i] = isnan(to[i]) ? 0 : to[i];
    same("numbers", to, count * 4);
  }
}

static void narrow(int bfloat) {
  static const float edges[] = {0,       -0.0f,    1,        -1,        65504, 65519.996f, 65520, 1e30f, 0x1p-24f, 0x1p-25f,
                                0x1.8p-25f, 0x1p-26f, 5e-8f, 3.4e38f, INFINITY, -INFINITY, NAN,   -NAN};
  enum { RANDOM = 4000 };
  float *x = take((COUNT(edges) + 2 * RANDOM) * 4);
  memcpy(x, edges, sizeof edges);
  for (int64_t i = COUNT(edges); i < COUNT(edges) + RANDOM; i++) {
    uint32_t pattern = (uint32_t)any();
    memcpy(x + i, &pattern, sizeof pattern);
  }
  for (int64_t i = 0; i < RANDOM; i++) x[COUNT(edges) + RANDOM + i] = number(-0x1p-13f, 0x1p-13f);
  int64_t all = COUNT(edges) + 2 * RANDOM;
  for (int64_t count = 0; count <= all; count = count < 40 ? count + 1 : count == all ? count + 1 : all) {
    uint16_t *to = take(count * 2), infinity = bfloat ? 0x7f80 : 0x7c00;
    memset(to, 0xee, (size_t)count * 2);
    about("%lld", (long long)count);
    (bfloat ? dso_convert_f32_to_bf16 : dso_convert_f32_to_f16)(copy_of(x, count * 4), to, count);
    for (int64_t i = 0; i < count; i++) {
      expect(isnan(x[i]) == ((to[i] & 0x7fff) > infinity), "a NaN that is none");
      if (isnan(x[i])) to[i] = 0;
    }
    same("halves", to, count * 2);
  }
}

static void from_bf16(void) { widen(1); }
static void from_f16(void) { widen(0); }
static void to_bf16(void) { narrow(1); }
static void to_f16(void) { narrow(0); }

static void from_f64(void) {
  static const double edges[] = {0, -0.0, 1e300, -1e300, 1e-300, 3.4028235677973366e38, 0x1p-149, 0x1p-150, 0x1.000001p0, INFINITY};
  for (int64_t b = 0; b < BOUNDARIES; b++) {
    int64_t count = boundaries[b];
    uint8_t *odd = take(count * 8 + 1);
    for (int64_t i = 0; i < count; i++) {
      double value = i % 4 == 3 ? edges[i / 4 % COUNT(edges)] : ((double)(int64_t)any()) * 1e-13;
      memcpy(odd + 1 + 8 * i, &value, sizeof value);
    }
    float *to = blank(count);
    about("%lld", (long long)count);
    dso_convert_f64_to_f32(odd + 1, to, count);
    same("floats", to, count * 4);
  }
}

const kernel_case conversion_cases[] = {{"dso_convert_bf16_to_f32", from_bf16}, {"dso_convert_f16_to_f32", from_f16},
                                        {"dso_convert_f64_to_f32", from_f64},   {"dso_convert_f32_to_bf16", to_bf16},
                                        {"dso_convert_f32_to_f16", to_f16},     {NULL, NULL}};
