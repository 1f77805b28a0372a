/// Blocks, for AVX2.
#if defined(__x86_64__)
#include "../vectors/avx2.h"

#include "vector.h"
#include "../vectors/end.h"
#endif
