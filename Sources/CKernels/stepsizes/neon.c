/// Learned step sizes, for NEON.
#if defined(__aarch64__)
#include "../vectors/neon.h"

#include "steps.h"
#include "../vectors/end.h"
#endif
