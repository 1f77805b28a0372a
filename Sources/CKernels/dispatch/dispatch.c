/// Which instruction sets this processor has, and which one is in use.
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#ifndef HWCAP2_I8MM  // headers older than the processors
#define HWCAP2_I8MM (1 << 13)
#endif
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include "kernel_table.h"

static const char *const names[] = {"portable", "avx2", "avx512", "neon", "neon-i8mm"};
enum { SETS = sizeof names / sizeof names[0] };

const char *dso_isa_name(dso_isa isa) { return (unsigned)isa < SETS ? names[isa] : "unknown"; }

#if defined(__aarch64__) && defined(__APPLE__)
static int has_feature(const char *name) {
  int value = 0;
  size_t size = sizeof value;
  return sysctlbyname(name, &value, &size, NULL, 0) == 0 && value;
}
#endif

int dso_isa_available(dso_isa isa) {
  switch (isa) {
    case DSO_ISA_PORTABLE: return 1;
#if defined(__x86_64__)
    // The builtin also asks whether the operating system saves the registers.
    case DSO_ISA_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    case DSO_ISA_AVX512:
      return dso_isa_available(DSO_ISA_AVX2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") &&
             __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vbmi");
#endif
#if defined(__aarch64__)
#if defined(__linux__)
    case DSO_ISA_NEON: return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
    case DSO_ISA_NEON_I8MM: return dso_isa_available(DSO_ISA_NEON) && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
#elif defined(__APPLE__)
    case DSO_ISA_NEON: return 1;  // every Apple processor with AArch64 that runs a supported system has it
    case DSO_ISA_NEON_I8MM: return has_feature("hw.optional.arm.FEAT_I8MM");
#else
    case DSO_ISA_NEON: return 1;
#endif
#endif
    default: return 0;
  }
}

static dso_isa best(void) {
  for (int isa = SETS - 1; isa > DSO_ISA_PORTABLE; isa--)
    if (dso_isa_available((dso_isa)isa)) return (dso_isa)isa;
  return DSO_ISA_PORTABLE;
}

static dso_isa chosen(void) {
  const char *wanted = getenv("DEEPSEEK_OPTIMIZE_ISA");
  for (int isa = 0; wanted && isa < SETS; isa++)
    if (strcmp(wanted, names[isa]) == 0 && dso_isa_available((dso_isa)isa)) return (dso_isa)isa;
  return best();
}

/// -1 until first asked for. Racing first callers all store the same value.
static _Atomic int current = -1;

dso_isa dso_isa_current(void) {
  int isa = atomic_load_explicit(&current, memory_order_relaxed);
  if (isa < 0) {
    isa = (int)chosen();
    atomic_store_explicit(&current, isa, memory_order_relaxed);
  }
  return (dso_isa)isa;
}

int dso_isa_force(dso_isa isa) {
  if (!dso_isa_available(isa)) return 0;
  atomic_store_explicit(&current, (int)isa, memory_order_relaxed);
  return 1;
}

const dso_kernel_table *dso_table_current(void) { return dso_table_of(dso_isa_current()); }
