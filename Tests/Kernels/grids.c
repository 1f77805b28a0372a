/// Searches for grids: the same bits in every set.
#include "check.h"

/// Sums of three numbers with an outlier now and then, in sizes up to the ends of float.
static float *weights(int64_t count, float size) {
  float *w = take(count * 4);
  for (int64_t i = 0; i < count; i++) {
    float three = number(-1, 1) + number(-1, 1) + number(-1, 1);
    w[i] = (any() % 40 == 0 ? three * 3 : three) * size;
  }
  return w;
}

static void same_grid(const char *what, dso_grid grid) {
  same(what, &grid.scale, 4);
  same(what, &grid.zero_point, 4);
  same(what, &grid.error, 8);
}

static void search(int solve) {
  static const float sizes[] = {1, 0x1p-130f, 0x1p100f};
  for (int bits = 2; bits <= 8; bits++) {
    for (int64_t i = 0; i <= BOUNDARIES; i++) {
      int64_t count = i < BOUNDARIES ? boundaries[i] : 300;
      dso_scale_type type = (dso_scale_type)((i + bits) % 3);
      const float *w = weights(count, sizes[(count + bits) % 3]), *importance = i % 2 ? floats(count, -0.2f, 1) : NULL;
      for (int symmetric = 0; symmetric < 2; symmetric++) {
        about("%lld, %d bits, symmetric %d, type %d", (long long)count, bits, symmetric, (int)type);
        dso_isa set = dso_isa_current();
        if (solve) dso_isa_force(DSO_ISA_PORTABLE);
        dso_grid grid = dso_search_grid(w, importance, count, bits, symmetric, type, scratch_of(dso_grid_scratch_bytes(count)));
        dso_isa_force(set);
        dso_half_quadratic solver = {i % 3 ? 0.7f : 1, 10, 1.01f, 20};
        if (solve)
          grid = dso_half_quadratic_grid(w, count, bits, symmetric, type, solver, grid, scratch_of(dso_grid_scratch_bytes(count)));
        same_grid(solve ? "solution" : "grid", grid);
      }
    }
  }
  const float odd[][3] = {{1, NAN, 2}, {1, INFINITY, 2}, {0, 0, 0}, {0x1p-149f, -0x1p-149f, 0}};
  for (int64_t i = 0; i < COUNT(odd) && !solve; i++) {
    about("odd group %lld", (long long)i);
    same_grid("grid", dso_search_grid(copy_of(odd[i], 12), NULL, 3, 4, 1, DSO_SCALE_F16, scratch_of(dso_grid_scratch_bytes(3))));
  }
}

static void search_grid(void) { search(0); }
static void half_quadratic(void) { search(1); }

static void grid_error(void) {
  for (int64_t i = 0; i <= BOUNDARIES; i++) {
    int64_t count = i < BOUNDARIES ? boundaries[i] : 1000;
    about("%lld", (long long)count);
    const float *w = weights(count, 1), *importance = i % 2 ? floats(count, -0.2f, 1) : NULL;
    for (int bits = 2; bits <= 8; bits += 2) {
      double error = dso_grid_error(w, importance, count, bits, 0.3f, 1);
      same("error", &error, 8);
    }
  }
}

static void imatrix(void) {
  for (int64_t i = 0; i <= BOUNDARIES; i++) {
    int64_t count = i < BOUNDARIES ? boundaries[i] : 1000;
    about("%lld", (long long)count);
    float *out = blank(count);
    dso_imatrix_importance(weights(count, 1), i % 2 ? floats(count, -0.2f, 1) : NULL, count, out);
    same("importance", out, count * 4);
  }
}

const kernel_case grid_cases[] = {{"dso_search_grid", search_grid},
                                  {"dso_half_quadratic_grid", half_quadratic},
                                  {"dso_grid_error", grid_error},
                                  {"dso_imatrix_importance", imatrix},
                                  {NULL, NULL}};
