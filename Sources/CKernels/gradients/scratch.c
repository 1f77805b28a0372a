/// What the gradients ask of their callers.
#include "../products/blocking.h"
#include "areas.h"

int64_t dso_gradient_product_scratch_bytes(void) { return DSO_PRODUCT_BYTES; }

int64_t dso_attention_backward_scratch_bytes(int64_t head_dim, int64_t v_dim) {
  return dso_cut_gradient_areas(NULL, head_dim, v_dim).floats * (int64_t)sizeof(float);
}

int64_t dso_attention_selected_backward_scratch_bytes(int64_t kv_tokens, int64_t block, int64_t count) {
  int64_t keys = block * count < kv_tokens ? block * count : kv_tokens;
  return 4 * (keys + 64);
}
