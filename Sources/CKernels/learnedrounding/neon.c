/// Learned rounding, for NEON.
#if defined(__aarch64__)
#include "../vectors/neon.h"

#include "learned.h"
#include "../vectors/end.h"
#endif
