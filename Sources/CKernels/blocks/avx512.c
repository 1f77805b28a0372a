/// Blocks, for AVX-512.
#if defined(__x86_64__)
#include "../vectors/avx512.h"

#include "vector.h"
#include "../vectors/end.h"
#endif
