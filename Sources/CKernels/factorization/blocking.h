/// Sizes of the blocks that the products over rows are cut into.
#ifndef DSO_FACTORIZATION_BLOCKING_H
#define DSO_FACTORIZATION_BLOCKING_H

#include "../include/CKernels.h"

enum {
  /// Rows t whose products are summed before they are added to C.
  DSO_OUTER_DEPTH = 256,
  /// Multiples of the register tile of every instruction set: 14, 6, 8 rows; 32, 16, 12 columns.
  DSO_OUTER_ROWS = 336,
  DSO_OUTER_COLUMNS = 480,
  /// Vectors are stored whole, so both areas end in some room.
  DSO_OUTER_SLACK = 64,
  DSO_OUTER_ROW_FLOATS = DSO_OUTER_ROWS * DSO_OUTER_DEPTH + DSO_OUTER_SLACK,
  DSO_OUTER_COLUMN_FLOATS = DSO_OUTER_COLUMNS * DSO_OUTER_DEPTH + DSO_OUTER_SLACK,

  /// Columns of a panel, or rows of weights, that are worked on at once: with a block's height they fit the first cache.
  DSO_STRIP = 64,
};

#endif
