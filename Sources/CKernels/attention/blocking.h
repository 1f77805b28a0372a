/// Sizes of the blocks of attention, and its scratch.
#ifndef DSO_ATTENTION_BLOCKING_H
#define DSO_ATTENTION_BLOCKING_H

#include "../include/CKernels.h"

enum {
  /// Most queries and keys in a block, in every variant.
  DSO_QUERIES = 128,
  DSO_KEYS = 128,
  /// Widest panel of any variant.
  DSO_WIDEST_PANEL = 32,
};

/// Room for `width` floats in whole panels of any variant.
static inline int64_t dso_whole_panels(int64_t width) { return width + DSO_WIDEST_PANEL; }

#endif
