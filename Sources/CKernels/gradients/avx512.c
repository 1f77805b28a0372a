/// Gradients for AVX-512.
#if defined(__x86_64__)
#include "../vectors/avx512.h"

#include "../products/sizes.h"
#include "../products/pack.h"
#include "../products/tile.h"

#include "panels.h"
#include "attention.h"
#include "selected.h"
#include "products.h"
#include "streamed.h"
#include "rows.h"
#include "losses.h"
#include "../vectors/end.h"
#endif
