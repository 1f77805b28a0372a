/// Normalizations for NEON.
#if defined(__aarch64__)
#include "../vectors/neon.h"

#include "tanh.h"
#include "vector.h"
#include "../vectors/end.h"
#endif
