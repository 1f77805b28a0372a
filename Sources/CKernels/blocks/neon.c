/// Blocks, for NEON.
#if defined(__aarch64__)
#include "../vectors/neon.h"

#include "vector.h"
#include "../vectors/end.h"
#endif
