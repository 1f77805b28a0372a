/// Causal attention, portable: one query at a time, online softmax over blocks of keys.
#include <math.h>

#include "../dispatch/kernel_table.h"
#include "../quantization/codes.h"

enum { KEYS = 128 };

static float dot(const float *a, const float *b, int64_t count) {
  float lanes[16] = {0}, sum = 0;
  int64_t i = 0;
  for (; i + 16 <= count; i += 16)
    for (int l = 0; l < 16; l++) lanes[l] += a[i + l] * b[i + l];
  for (int l = 0; i < count; i++, l++) lanes[l] += a[i] * b[i];
  for (int l = 0; l < 16; l++) sum += lanes[l];
  return sum;
}

void dso_portable_attention(const float *q, int64_t ldq, const float *k, int64_t ldk, const float *v, int64_t ldv, float *out,
                            int64_t ldo, int64_t q_tokens, int64_t kv_tokens, int64_t q_offset, int64_t head_dim, int64_t v_dim,
                            float scale, int64_t window, void *scratch) {
  float *scores = scratch;
  for (int64_t t = 0; t < q_tokens; t++) {
    float *row = out + t * ldo;
    int64_t position = q_offset + t;
    int64_t end = dso_min_i64(kv_tokens, position + 1);
    int64_t begin = window > 0 && position - window + 1 > 0 ? position - window + 1 : 0;
    float largest = -INFINITY, total = 0;
    for (int64_t d = 0; d < v_dim; d++) row[d] = 0;
    for (int64_t block = begin; block < end; block += KEYS) {
      int64_t count = dso_min_i64(KEYS, end - block);
      float block_largest = largest;
      for (int64_t j = 0; j < count; j++) {
        scores[j] = dot(q + t * ldq, k + (block + j) * ldk, head_dim) * scale;
        block_largest = scores[j] > block_largest ? scores[j] : block_largest;
      }
      if (block_largest > largest) {
        float shrink = expf(largest - block_largest);
        total *= shrink;
        for (int64_t d = 0; d < v_dim; d++) row[d] *= shrink;
        largest = block_largest;
      }
      for (int64_t j = 0; j < count; j++) {
        float p = expf(scores[j] - largest);
        const float *value = v + (block + j) * ldv;
        total += p;
        for (int64_t d = 0; d < v_dim; d++) row[d] += p * value[d];
      }
    }
    if (total != 0)
      for (int64_t d = 0; d < v_dim; d++) row[d] /= total;
  }
}
