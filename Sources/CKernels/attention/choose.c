/// Which blocks a query sees, and what they are judged by.
#include <math.h>

#include "../dispatch/contraction.h"
#include "../include/SelectedAttention.h"

void dso_pool_keys(const float *k, int64_t ldk, int64_t blocks, int64_t block, int64_t head_dim, float *pooled, int64_t ld_pooled) {
  for (int64_t b = 0; b < blocks; b++)
    for (int64_t d = 0; d < head_dim; d++) {
      double sum = 0;
      for (int64_t j = 0; j < block; j++) sum += k[(b * block + j) * ldk + d];
      pooled[b * ld_pooled + d] = (float)(sum / (double)block);
    }
}

void dso_pool_keys_s8(const dso_quantized_head *k, int64_t blocks, int64_t block, int64_t head_dim, float *pooled, int64_t ld_pooled) {
  for (int64_t b = 0; b < blocks; b++)
    for (int64_t d = 0; d < head_dim; d++) {
      double sum = 0;
      for (int64_t j = b * block; j < (b + 1) * block; j++) sum += (double)k->codes[j * k->ld + d] * k->scales[j * k->ld_scales];
      pooled[b * ld_pooled + d] = (float)(sum / (double)block);
    }
}

int64_t dso_select_blocks_scratch_bytes(int64_t positions, int64_t block) { return 2 * (positions / block + 1) * (int64_t)sizeof(float); }

static void swap(float *a, float *b) {
  float t = *a;
  *a = *b, *b = t;
}

/// The value that has `rank` larger or equal ones before it when x falls; x is put in another order.
static float ranked(float *x, int64_t count, int64_t rank) {
  int64_t low = 0, high = count - 1;
  while (low < high) {
    // The median of three turns: rising and falling products are common.
    int64_t middle = low + (high - low) / 2;
    if (x[middle] > x[low]) swap(x + middle, x + low);
    if (x[high] > x[low]) swap(x + high, x + low);
    if (x[high] > x[middle]) swap(x + high, x + middle);
    float pivot = x[middle];
    int64_t i = low, j = high;
    while (i <= j) {
      while (x[i] > pivot) i++;
      while (x[j] < pivot) j--;
      if (i <= j) swap(x + i, x + j), i++, j--;
    }
    if (rank <= j) high = j;
    else if (rank >= i) low = i;
    else break;
  }
  return x[rank];
}

void dso_choose_blocks(float *products, int64_t own, int64_t count, int32_t *chosen) {
  int64_t wanted = count - 1 < own ? count - 1 : own, at = 0;
  if (wanted < own && wanted > 0) {
    float *order = products + own;
    for (int64_t b = 0; b < own; b++) {
      if (!(products[b] == products[b])) products[b] = -INFINITY;
      order[b] = products[b];
    }
    float least = ranked(order, own, wanted - 1);
    int64_t above = 0, equal = 0;
    for (int64_t b = 0; b < own; b++) above += products[b] > least, equal += products[b] == least;
    // Of those that are as large as the last one the earlier are passed over.
    int64_t skipped = equal - (wanted - above);
    for (int64_t b = 0; b < own; b++) {
      if (products[b] < least) continue;
      if (products[b] == least && skipped-- > 0) continue;
      chosen[at++] = (int32_t)b;
    }
  } else {
    for (int64_t b = own - wanted; b < own; b++) chosen[at++] = (int32_t)b;
  }
  chosen[at++] = (int32_t)own;
  while (at < count) chosen[at++] = -1;
}
