/// Products over rows, solving, and rounding with feedback for AVX2.
#if defined(__x86_64__)
#include "../vectors/avx2.h"

#include "../products/sizes.h"
#include "descent.h"
#include "feedback.h"
#include "outer.h"
#include "../vectors/end.h"
#endif
