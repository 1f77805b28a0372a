/// Blocks, portable; and what needs no variants.
#include "../gridsearch/portable.h"

#include "vector.h"

int64_t dso_block_search_scratch_bytes(int64_t k) {
  enum { MOST_LANES = 16 };
  return ((k < 0 ? 0 : k) * 2 + LARGEST_BLOCK * MOST_LANES * 2) * (int64_t)sizeof(float) + LARGEST_BLOCK * MOST_LANES;
}

int64_t dso_affine_search_scratch_bytes(int64_t rows, int64_t k, int64_t group) {
  enum { MOST_LANES = 16 };
  k = k < 0 ? 0 : k;
  return (affine_room(k) * 2 + (group < k ? group : k) * MOST_LANES * 2) * (int64_t)sizeof(float) + rows * k;
}
