/// Gradients of norms and activations, and dynamic tanh with its own.
#include "check.h"

enum { KINDS = 5 };

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

static void norm_backward(int layer) {
  for (int64_t b = 0; b < BOUNDARIES; b++) {
    enum { ROWS = 3 };
    int64_t width = boundaries[b], ld = width + 2;
    for (int way = 0; way < 4; way++) {
      about("width %lld, %d", (long long)width, way);
      const float *x = floats(ROWS * ld - 2, -2, 2), *gain = floats(width, -2, 2), *dy = floats(ROWS * ld - 2, -2, 2);
      float *dx = floats(ROWS * ld - 2, -2, 2), *dgain = floats(width, 1, 1);
      (layer ? dso_layer_norm_backward : dso_rms_norm_backward)(x, ld, gain, dy, ld, way & 1, way == 2 ? NULL : dx, ld,
                                                                way == 3 ? NULL : dgain, ROWS, width, 1e-3f);
      close_to("dx", dx, ROWS * ld - 2, 2e-5, 2e-5);
      close_to("dgain", dgain, width, 2e-5, 2e-5);
    }
  }
}

static void rms_norm_backward(void) { norm_backward(0); }
static void layer_norm_backward(void) { norm_backward(1); }

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
  static const int64_t sizes[][2] = {{1, 1}, {3, 17}, {64, 33}, {65, 16}, {300, 129}, {2, 7}, {2, 8}, {3, 15}, {3, 31}, {2, 32}};
  for (int64_t i = 0; i < COUNT(sizes); i++) {
    int64_t rows = sizes[i][0], width = sizes[i][1];
    about("%lldx%lld", (long long)rows, (long long)width);
    const float *x = floats(rows * (width + 1) - 1, -2, 2);
    float *sums = floats(width, -2, 2);
    dso_sum_rows(x, width + 1, rows, width, sums);
    close_to("sums", sums, width, 0, 2 * (double)rows * 0x1p-22);
  }
}

const kernel_case slope_cases[] = {{"dso_gated_activation_backward", activation_backward},
                                   {"dso_rms_norm_backward", rms_norm_backward},
                                   {"dso_layer_norm_backward", layer_norm_backward},
                                   {"dso_dynamic_tanh", dynamic_tanh},
                                   {"dso_dynamic_tanh_backward", dynamic_tanh_backward},
                                   {"dso_sum_rows", sum_rows},
                                   {NULL, NULL}};
