/// What attention asks of its callers.
#include "blocking.h"

int64_t dso_attention_scratch_bytes(int64_t head_dim, int64_t v_dim) {
  int64_t depth = dso_whole_panels(head_dim), width = dso_whole_panels(v_dim);
  int64_t floats = (DSO_QUERIES + DSO_KEYS) * depth + (DSO_QUERIES + DSO_KEYS) * width + 2 * DSO_KEYS * DSO_WIDEST_PANEL + 2 * DSO_QUERIES;
  return 4 * (floats + 8 * 64);
}

int64_t dso_attention_s8_scratch_bytes(int64_t head_dim, int64_t v_dim) {
  return dso_attention_scratch_bytes(head_dim, v_dim) + 4 * (DSO_KEYS * (head_dim + v_dim) + 64);
}
