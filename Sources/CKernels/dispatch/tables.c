/// One table per instruction set, each filled from the one list of kernels.
#include "kernel_table.h"

#define PORTABLE_PROCEDURE(name, parameters, arguments) .name = dso_portable_##name,
#define PORTABLE_FUNCTION(type, name, parameters, arguments) .name = dso_portable_##name,
static const dso_kernel_table portable = {DSO_KERNELS(PORTABLE_PROCEDURE, PORTABLE_FUNCTION)};

#if defined(__x86_64__)
#define AVX2_PROCEDURE(name, parameters, arguments) .name = dso_avx2_##name,
#define AVX2_FUNCTION(type, name, parameters, arguments) .name = dso_avx2_##name,
static const dso_kernel_table avx2 = {DSO_KERNELS(AVX2_PROCEDURE, AVX2_FUNCTION)};

#define AVX512_PROCEDURE(name, parameters, arguments) .name = dso_avx512_##name,
#define AVX512_FUNCTION(type, name, parameters, arguments) .name = dso_avx512_##name,
static const dso_kernel_table avx512 = {DSO_KERNELS(AVX512_PROCEDURE, AVX512_FUNCTION)};
#endif

#if defined(__aarch64__)
#define NEON_PROCEDURE(name, parameters, arguments) .name = dso_neon_##name,
#define NEON_FUNCTION(type, name, parameters, arguments) .name = dso_neon_##name,
static const dso_kernel_table neon = {DSO_KERNELS(NEON_PROCEDURE, NEON_FUNCTION)};

// All of NEON, but for what is named again.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winitializer-overrides"
static const dso_kernel_table neon_i8mm = {DSO_KERNELS(NEON_PROCEDURE, NEON_FUNCTION).matmul_s8 = dso_neon_i8mm_matmul_s8};
#pragma clang diagnostic pop
#endif

const dso_kernel_table *dso_table_of(dso_isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case DSO_ISA_AVX2: return &avx2;
    case DSO_ISA_AVX512: return &avx512;
#endif
#if defined(__aarch64__)
    case DSO_ISA_NEON: return &neon;
    case DSO_ISA_NEON_I8MM: return &neon_i8mm;
#endif
    default: return &portable;
  }
}

#define NAME_PROCEDURE(name, parameters, arguments) "dso_" #name,
#define NAME_FUNCTION(type, name, parameters, arguments) "dso_" #name,
static const char *const kernel_names[] = {DSO_KERNELS(NAME_PROCEDURE, NAME_FUNCTION)};

int dso_kernel_count(void) { return (int)(sizeof kernel_names / sizeof kernel_names[0]); }

const char *dso_kernel_name(int index) { return index >= 0 && index < dso_kernel_count() ? kernel_names[index] : NULL; }
