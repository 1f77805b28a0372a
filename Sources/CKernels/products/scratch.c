/// What the products ask of their callers.
#include "blocking.h"

int64_t dso_matmul_scratch_bytes(const dso_weights *w) {
  // Eight rows of activations, in another order: four bytes for an element. 16-bit ones take two for its code and up to two for the sums
  // of pieces; their last step, at most 128 elements, is filled up.
  int64_t streamed = 8 * 4 * (w->k + 128) + DSO_SLACK_BYTES;
  return streamed > DSO_PRODUCT_BYTES ? streamed : DSO_PRODUCT_BYTES;
}

int64_t dso_matmul_tile_n(void) { return 256; }
