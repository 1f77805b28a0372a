/// The int8 cache, portable: its codes, and attention of one query at a time over them.
#include <math.h>
#include <string.h>

#include "../dispatch/kernel_table.h"
#include "../quantization/codes.h"

enum { KEYS = 128 };

void dso_portable_quantize_heads_s8(const float *x, int64_t ldx, int64_t rows, int64_t heads, int64_t dim, int8_t *q, int64_t ldq,
                                    float *scales, int64_t ld_scales) {
  for (int64_t row = 0; row < rows; row++)
    for (int64_t head = 0; head < heads; head++) {
      const float *from = x + row * ldx + head * dim;
      int8_t *to = q + row * ldq + head * dim;
      float most = 0;
      int finite = 1;
      for (int64_t i = 0; i < dim; i++) {
        most = fabsf(from[i]) > most ? fabsf(from[i]) : most;
        finite &= isfinite(from[i]) != 0;
      }
      float scale = finite ? most / 127.0f : NAN;
      // The quotient of a denormal maximum may round to zero.
      if (scale == 0) scale = most;
      scales[row * ld_scales + head] = scale;
      memset(to, 0, (size_t)dim);
      if (!finite || scale == 0) continue;
      for (int64_t i = 0; i < dim; i++) {
        float code = nearbyintf(from[i] / scale);
        to[i] = (int8_t)(code > 127 ? 127 : code < -127 ? -127 : code);
      }
    }
}

static float dot(const float *a, const int8_t *b, int64_t count) {
  float lanes[16] = {0}, sum = 0;
  for (int64_t i = 0; i < count; i++) lanes[i % 16] += a[i] * (float)b[i];
  for (int l = 0; l < 16; l++) sum += lanes[l];
  return sum;
}

void dso_portable_attention_s8(const float *q, int64_t ldq, const dso_quantized_head *k, const dso_quantized_head *v, float *out,
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
        scores[j] = dot(q + t * ldq, k->codes + (block + j) * k->ld, head_dim) * (k->scales[(block + j) * k->ld_scales] * scale);
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
        const int8_t *value = v->codes + (block + j) * v->ld;
        float weight = p * v->scales[(block + j) * v->ld_scales];
        total += p;
        for (int64_t d = 0; d < v_dim; d++) row[d] += weight * (float)value[d];
      }
    }
    if (total != 0)
      for (int64_t d = 0; d < v_dim; d++) row[d] /= total;
  }
}
