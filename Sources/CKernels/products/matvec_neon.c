/// Products of few rows for NEON.
#if defined(__aarch64__)
#include "../vectors/neon.h"

#include "matvec.h"
#include "../vectors/end.h"
#endif
