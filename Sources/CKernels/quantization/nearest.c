/// Round-to-nearest of whole rows, portable.
#include <string.h>

#include "../dispatch/kernel_table.h"

#define DSO_KERNEL(name) dso_portable_##name
#include "nearest.h"

int64_t dso_nearest_scratch_bytes(int64_t k) { return (k + 15) / 16 * 16 * 5 + 64; }
