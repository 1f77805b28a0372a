/// The search for scales and minima of groups: the same bits in every set, and in every number of rows at a time.
#include "check.h"

static void quantize(void) {
  static const int64_t sizes[][2] = {{128, 32}, {192, 64}, {256, 128}, {100, 100}, {70, 32}, {33, 16}, {1, 64}, {300, 7},
                                   {15, 15},  {16, 16},  {17, 17},   {31, 8},    {63, 63}, {65, 65}};
  static const float magnitudes[] = {1, 0x1p-40f, 0x1p-130f, 0x1p60f};
  for (int bits = 2; bits <= 8; bits++) {
    for (int64_t s = 0; s < COUNT(sizes); s++) {
      int64_t k = sizes[s][0], group = sizes[s][1], groups = (k + group - 1) / group, words = (k * bits + 31) / 32;
      for (int variant = 0; variant < 6; variant++) {
        int64_t rows = 1 + (variant + s) % 5, ld = k + variant;
        about("%lld by %lld, groups of %lld, %d bits, variant %d", (long long)rows, (long long)k, (long long)group, bits, variant);
        float magnitude = magnitudes[(s + bits) % COUNT(magnitudes)];
        float *x = floats(rows * ld, -magnitude, magnitude);
        for (int64_t i = 0; i < rows * ld; i += 37) x[i] *= 4;
        if (variant == 4) memset(x, 0, (size_t)(rows * ld) * 4);
        if (variant == 5) x[ld * (rows - 1)] = NAN, x[0] = INFINITY;
        const float *importance = variant % 2 ? floats(k, -0.1f, 2) : NULL;
        dso_affine_search search = {bits, variant == 2, variant == 3, (dso_scale_type)((variant + s) % 3), group};
        uint32_t *codes = take(rows * words * 4), *own = take(words * 4);
        float *scales = take(rows * groups * 4), *minima = take(rows * groups * 4);
        float *own_scales = take(groups * 4), *own_minima = take(groups * 4);
        int64_t others = dso_quantize_affine(&search, x, ld, rows, k, importance, codes, scales, minima,
                                             scratch_of(dso_affine_search_scratch_bytes(rows, k, group)));
        same("codes", codes, rows * words * 4);
        same("scales", scales, rows * groups * 4);
        same("minima", minima, rows * groups * 4);
        same("count", &others, 8);
        if (variant == 3) continue;
        dso_quantize_affine(&search, x + ld * (rows - 1), ld, 1, k, importance, own, own_scales, own_minima,
                            scratch_of(dso_affine_search_scratch_bytes(1, k, group)));
        agree("codes of a row alone", own, codes + (rows - 1) * words, words * 4);
        agree("scales of a row alone", own_scales, scales + (rows - 1) * groups, groups * 4);
        agree("minima of a row alone", own_minima, minima + (rows - 1) * groups, groups * 4);
      }
    }
  }
}

const kernel_case affine_cases[] = {{"dso_quantize_affine", quantize}, {NULL, NULL}};
