/// Products over rows, solving, and rounding with feedback for NEON.
#if defined(__aarch64__)
#include "../vectors/neon.h"

#include "../products/sizes.h"
#include "descent.h"
#include "feedback.h"
#include "outer.h"
#include "../vectors/end.h"
#endif
