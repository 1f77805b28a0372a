/// Products of codes for NEON with the instruction that multiplies matrices of them: the text of neon.c with units in pairs, and nothing but the
/// kernel that gains.
#if defined(__aarch64__)
#define NEON_FEATURES "dotprod,i8mm"
#include "../vectors/neon.h"

#define UNITS_IN_PAIRS
#define ONLY_CODES
#define dso_neon_matmul_s8 dso_neon_i8mm_matmul_s8
#include "neon.c"
#endif
