/// What the cases share: numbers, memory, weights and comparisons.
///
/// A case is a function that runs once with the portable kernels and once with every other set of the processor, with the same numbers. What it
/// hands to `same` and `close_to` is kept in the portable run and compared, in the same order, in the others.
#ifndef DSO_CHECK_H
#define DSO_CHECK_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "CKernels.h"

typedef struct {
  const char *kernel;  ///< as dso_kernel_name says it
  void (*run)(void);
} kernel_case;

/// One list per subject, ended by a case without a name.
extern const kernel_case product_cases[], code_cases[], training_cases[], attention_cases[], selected_cases[], loss_cases[], row_cases[],
    slope_cases[], conversion_cases[], packing_cases[], grid_cases[], learned_cases[], factor_cases[], feedback_cases[], memory_cases[],
    wide_cases[], block_cases[], affine_cases[], plain_cases[];

// MARK: - Numbers (SplitMix64; the seed is a case's own)

uint64_t any(void);
int64_t between(int64_t low, int64_t high);
float number(float low, float high);

// MARK: - Memory that ends where the next page cannot be touched, given back after the case

void *take(int64_t bytes);
/// 64-byte aligned, filled with not-a-numbers: what was not written must not be used.
void *scratch_of(int64_t bytes);
void *copy_of(const void *from, int64_t bytes);
float *floats(int64_t count, float low, float high);
/// -77 everywhere: what a kernel must not touch shows.
float *blank(int64_t count);
int8_t *bytes(int64_t count);

// MARK: - Weights

typedef struct {
  dso_storage storage;
  int bits;
  int64_t group;  ///< no longer than a row
  int zeros, levels, minima;
} weight_kind;

enum { WEIGHT_KINDS = 36 };
extern const weight_kind weight_kinds[WEIGHT_KINDS];
dso_weights weights_of(weight_kind kind, int64_t n, int64_t k);
/// [n, k], by the portable kernels.
float *dense(const dso_weights *w);

// MARK: - Comparisons

/// What the following comparisons are about, as printf has it.
void about(const char *format, ...) __attribute__((format(printf, 1, 2)));
void expect(int holds, const char *what);
/// Bit for bit what the portable kernels gave.
void same(const char *what, const void *data, int64_t bytes);
/// Bit for bit what the same set gave elsewhere.
void agree(const char *what, const void *found, const void *expected, int64_t bytes);
void close_to(const char *what, const float *data, int64_t count, double relative, double absolute);
/// Each element with an allowance of its own.
void within(const char *what, const float *data, const double *allowances, int64_t count);
void close_number(const char *what, double value, double relative, double absolute);
int is_portable(void);

/// On both sides of every width of vectors and panels.
enum { BOUNDARIES = 20 };
extern const int64_t boundaries[BOUNDARIES];

#define COUNT(list) ((int64_t)(sizeof(list) / sizeof *(list)))

#endif
