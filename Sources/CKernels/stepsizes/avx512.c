/// Learned step sizes, for AVX-512.
#if defined(__x86_64__)
#include "../vectors/avx512.h"

#include "steps.h"
#include "../vectors/end.h"
#endif
