/// Declarations of every variant and the table of function pointers, both from kernel_list.h.
#ifndef DSO_KERNEL_TABLE_H
#define DSO_KERNEL_TABLE_H

#include "contraction.h"
#include "kernel_list.h"

#define DSO_DECLARE_PROCEDURE(name, parameters, arguments) \
  void dso_portable_##name parameters;                     \
  void dso_avx2_##name parameters;                         \
  void dso_avx512_##name parameters;                       \
  void dso_neon_##name parameters;
#define DSO_DECLARE_FUNCTION(type, name, parameters, arguments) \
  type dso_portable_##name parameters;                          \
  type dso_avx2_##name parameters;                              \
  type dso_avx512_##name parameters;                            \
  type dso_neon_##name parameters;
DSO_KERNELS(DSO_DECLARE_PROCEDURE, DSO_DECLARE_FUNCTION)
/// What processors with products of matrices of codes have a variant of their own of.
void dso_neon_i8mm_matmul_s8(const int8_t *a, int64_t lda, const float *a_scales, const int32_t *sums, int64_t m, const dso_weights *w,
                             int64_t n_begin, int64_t n_end, const float *bias, float *c, int64_t ldc, void *scratch);
#undef DSO_DECLARE_PROCEDURE
#undef DSO_DECLARE_FUNCTION

#define DSO_FIELD_PROCEDURE(name, parameters, arguments) void(*name) parameters;
#define DSO_FIELD_FUNCTION(type, name, parameters, arguments) type(*name) parameters;
typedef struct {
  DSO_KERNELS(DSO_FIELD_PROCEDURE, DSO_FIELD_FUNCTION)
} dso_kernel_table;
#undef DSO_FIELD_PROCEDURE
#undef DSO_FIELD_FUNCTION

/// The table of a set, or NULL when this build has no such set.
const dso_kernel_table *dso_table_of(dso_isa isa);
/// The table in use.
const dso_kernel_table *dso_table_current(void);

#endif
