/// Norms, rotary positions and activations.
#include "check.h"

static void norms(int layer) {
  static const int64_t others[] = {1000, 2, 24, 257};
  for (int64_t b = 0; b < BOUNDARIES + COUNT(others); b++) {
    int64_t width = b < BOUNDARIES ? boundaries[b] : others[b - BOUNDARIES], ld = width + 2;
    enum { ROWS = 3 };
    about("width %lld", (long long)width);
    const float *x = floats(ROWS * ld - 2, -3, 5), *gain = floats(width, -2, 2), *bias = b % 2 ? floats(width, -2, 2) : NULL;
    float *y = blank(ROWS * ld), *z = copy_of(x, (ROWS * ld - 2) * 4);
    if (layer) dso_layer_norm(x, ld, gain, bias, y, ld, ROWS, width, 1e-5f), dso_layer_norm(z, ld, gain, bias, z, ld, ROWS, width, 1e-5f);
    else dso_rms_norm(x, ld, gain, y, ld, ROWS, width, 1e-5f), dso_rms_norm(z, ld, gain, z, ld, ROWS, width, 1e-5f);
    // Each within some roundings of the true value; with a mean, of its magnitude.
    close_to("norm", y, ROWS * ld, layer ? 0 : 8 * 0x1p-24, layer ? 1.6e-6 : 2e-30);
    for (int64_t r = 0; r < ROWS; r++) agree("in place", z + r * ld, y + r * ld, width * 4);
  }
}

static void rms_norm(void) { norms(0); }
static void layer_norm(void) { norms(1); }

static void rotary(void) {
  static const int64_t sizes[][2] = {{2, 2}, {8, 6}, {16, 16}, {33, 32}, {64, 64}, {80, 34}, {128, 128}, {130, 66}, {192, 64}};
  for (int64_t i = 0; i < COUNT(sizes); i++) {
    for (int interleaved = 0; interleaved < 2; interleaved++) {
      enum { ROWS = 3, HEADS = 2 };
      int64_t dim = sizes[i][0], turned = sizes[i][1], half = turned / 2, ld = HEADS * dim + 1;
      about("%lld of %lld interleaved %d", (long long)turned, (long long)dim, interleaved);
      float *x = floats(ROWS * ld - 1, -2, 2), *cosines = floats(ROWS * half, -7, 7), *sines = take(ROWS * half * 4);
      for (int64_t j = 0; j < ROWS * half; j++) sines[j] = sinf(cosines[j]), cosines[j] = cosf(cosines[j]);
      dso_rotary(x, ld, ROWS, HEADS, dim, turned, interleaved, cosines, sines, half);
      close_to("rotated", x, ROWS * ld - 1, 0, 8e-7);
    }
  }
}

enum { KINDS = 5 };

static void activation(void) {
  static const float edges[] = {0, -0.0f, 1e-30f, -1e-30f, 88, -88, 104, -104, 1e4f, -1e4f, 3e38f, INFINITY, NAN};
  for (int kind = 0; kind < KINDS; kind++) {
    for (int64_t b = 0; b <= BOUNDARIES; b++) {
      int64_t count = b < BOUNDARIES ? boundaries[b] : 4000;
      about("kind %d, %lld", kind, (long long)count);
      const float *gate = floats(count, -12, 12), *up = floats(count, -2, 2);
      float *y = blank(count), *gated = blank(count), *place = copy_of(gate, count * 4);
      dso_gated_activation((dso_activation)kind, gate, NULL, y, count);
      dso_gated_activation((dso_activation)kind, gate, up, gated, count);
      dso_gated_activation((dso_activation)kind, place, up, place, count);
      close_to("plain", y, count, 8e-7, 8e-9);
      close_to("gated", gated, count, 8e-7, 8e-9);
      agree("in place", place, gated, count * 4);
    }
    about("edges of kind %d", kind);
    float *y = blank(COUNT(edges));
    dso_gated_activation((dso_activation)kind, copy_of(edges, sizeof edges), NULL, y, COUNT(edges));
    close_to("edges", y, COUNT(edges), 8e-7, 1e-35);
  }
}

static void add(void) {
  for (int64_t b = 0; b < BOUNDARIES; b++) {
    const float *x = floats(boundaries[b], -2, 2);
    float *y = floats(boundaries[b], -2, 2);
    about("%lld", (long long)boundaries[b]);
    dso_add(x, y, boundaries[b]);
    same("sum", y, boundaries[b] * 4);
  }
}

const kernel_case row_cases[] = {{"dso_rms_norm", rms_norm},
                                 {"dso_layer_norm", layer_norm},
                                 {"dso_rotary", rotary},
                                 {"dso_gated_activation", activation},
                                 {"dso_add", add},
                                 {NULL, NULL}};
