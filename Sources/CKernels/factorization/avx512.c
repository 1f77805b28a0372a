/// Products over rows, solving, and rounding with feedback for AVX-512.
#if defined(__x86_64__)
#include "../vectors/avx512.h"

#include "../products/sizes.h"
#include "descent.h"
#include "feedback.h"
#include "outer.h"
#include "../vectors/end.h"
#endif
