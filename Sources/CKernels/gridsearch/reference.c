/// The search for grids, portable; and what needs no variants.
#include "portable.h"

#include "vector.h"

int64_t dso_grid_scratch_bytes(int64_t count) { return 2 * dso_padded(count < 0 ? 0 : count) * (int64_t)sizeof(float); }
