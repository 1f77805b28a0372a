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

static void activation_backward(void) {
  for (int kind = 0; kind < KINDS; kind++) {
    for (int64_t b = 0; b <= BOUNDARIES; b++) {
      int64_t count = b < BOUNDARIES ? boundaries[b] : 1200;
      about("kind %d, %lld", kind, (long long)count);
      float *gate = floats(count, -9, 9), *up = floats(count, -2, 2), *dy = floats(count, -2, 2);
      // Where ReLU has no derivative, nothing is promised.
      for (int64_t i = 0; i < count; i++) gate[i] = fabsf(gate[i]) < 1e-3f ? 0.5f : gate[i];
      float *dgate = blank(count), *dup = blank(count), *plain = copy_of(dy, count * 4);
      dso_gated_activation_backward((dso_activation)kind, gate, up, dy, dgate, dup, count);
      dso_gated_activation_backward((dso_activation)kind, gate, NULL, plain, plain, NULL, count);
      close_to("gate", dgate, count, 1e-5, 6e-6);
      close_to("up", dup, count, 2e-6, 2e-7);
      close_to("plain", plain, count, 1e-5, 6e-6);
    }
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

static void rms_norm_backward(void) {
  for (int64_t b = 0; b < BOUNDARIES; b++) {
    enum { ROWS = 3 };
    int64_t width = boundaries[b], ld = width + 2;
    for (int way = 0; way < 4; way++) {
      about("width %lld, %d", (long long)width, way);
      const float *x = floats(ROWS * ld - 2, -2, 2), *gain = floats(width, -2, 2), *dy = floats(ROWS * ld - 2, -2, 2);
      float *dx = floats(ROWS * ld - 2, -2, 2), *dgain = floats(width, 1, 1);
      dso_rms_norm_backward(x, ld, gain, dy, ld, way & 1, way == 2 ? NULL : dx, ld, way == 3 ? NULL : dgain, ROWS, width, 1e-3f);
      close_to("dx", dx, ROWS * ld - 2, 2e-5, 2e-5);
      close_to("dgain", dgain, width, 2e-5, 2e-5);
    }
  }
}

static void tanh_rows(int backward) {
  for (int64_t b = 0; b <= BOUNDARIES; b++) {
    enum { ROWS = 3 };
    int64_t width = b < BOUNDARIES ? boundaries[b] : 1000, ld = width + 2;
    for (int way = 0; way < 4; way++) {
      about("width %lld, %d", (long long)width, way);
      float steepness = way == 3 ? 40 : 0.7f, dsteepness = 1, *x = floats(ROWS * ld - 2, -2, 2);
      x[0] = way == 1 ? INFINITY : way == 2 ? 0 : 1e-5f;
      const float *gain = floats(width, -2, 2), *dy = floats(ROWS * ld - 2, -2, 2);
      float *y = floats(ROWS * ld - 2, -2, 2), *dgain = floats(width, 1, 1);
      if (!backward) {
        dso_dynamic_tanh(x, ld, steepness, gain, dy, y, ld, ROWS, width);
        close_to("tanh", y, ROWS * ld - 2, 0, 1e-6);
        continue;
      }
      x[0] = 0.5f;
      dso_dynamic_tanh_backward(x, ld, steepness, gain, dy, ld, way & 1, way == 2 ? NULL : y, ld, dgain, &dsteepness, ROWS, width);
      close_to("dx", y, ROWS * ld - 2, 1e-6, 1e-6);
      close_to("dgain", dgain, width, 1e-6, 1e-6);
      close_to("steepness", &dsteepness, 1, 1e-6, 1e-6 * (double)width);
    }
  }
}

static void dynamic_tanh(void) { tanh_rows(0); }
static void dynamic_tanh_backward(void) { tanh_rows(1); }

static void sum_rows(void) {
  static const int64_t sizes[][2] = {{1, 1}, {3, 17}, {64, 33}, {65, 16}, {300, 129}};
  for (int64_t i = 0; i < COUNT(sizes); i++) {
    int64_t rows = sizes[i][0], width = sizes[i][1];
    about("%lldx%lld", (long long)rows, (long long)width);
    const float *x = floats(rows * (width + 1) - 1, -2, 2);
    float *sums = floats(width, -2, 2);
    dso_sum_rows(x, width + 1, rows, width, sums);
    close_to("sums", sums, width, 0, 2 * (double)rows * 0x1p-22);
  }
}

const kernel_case row_cases[] = {{"dso_rms_norm", rms_norm},
                                 {"dso_layer_norm", layer_norm},
                                 {"dso_rotary", rotary},
                                 {"dso_gated_activation", activation},
                                 {"dso_gated_activation_backward", activation_backward},
                                 {"dso_add", add},
                                 {"dso_rms_norm_backward", rms_norm_backward},
                                 {"dso_dynamic_tanh", dynamic_tanh},
                                 {"dso_dynamic_tanh_backward", dynamic_tanh_backward},
                                 {"dso_sum_rows", sum_rows},
                                 {NULL, NULL}};
