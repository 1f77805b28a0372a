#include <math.h>

#include "../dispatch/contraction.h"
#include "../include/Statistics.h"

int64_t dso_sample_logits(const float *row, double log_sum_exp, int64_t count, double unit) {
  double sum = 0;
  int64_t last = 0;
  for (int64_t i = 0; i < count; i++) {
    // A probability this small adds nothing that a float of the others could show; it saves most exponentials.
    float distance = row[i] - (float)log_sum_exp;
    if (distance < -30.0f) continue;
    sum += expf(distance);
    last = i;
    if (sum > unit) return i;
  }
  return last;
}

void dso_largest_indices(const float *row, int64_t count, int64_t kept, uint32_t *ids) {
  // A heap of the largest so far, the least of them (of equal ones the last) on top.
  int64_t size = 0;
  for (int64_t i = 0; i < count; i++) {
    int64_t place;
    if (size < kept) {
      place = size++;
      while (place > 0) {
        int64_t parent = (place - 1) / 2;
        // Later ones are the lesser of equals.
        if (row[ids[parent]] < row[i]) break;
        ids[place] = ids[parent];
        place = parent;
      }
      ids[place] = (uint32_t)i;
      continue;
    }
    if (!(row[i] > row[ids[0]])) continue;
    place = 0;
    for (;;) {
      int64_t child = 2 * place + 1;
      if (child >= size) break;
      if (child + 1 < size) {
        float left = row[ids[child]], right = row[ids[child + 1]];
        if (right < left || (right == left && ids[child + 1] > ids[child])) child++;
      }
      if (row[ids[child]] >= row[i]) break;
      ids[place] = ids[child];
      place = child;
    }
    ids[place] = (uint32_t)i;
  }
  // By their places: insertion is quick for some hundred.
  for (int64_t i = 1; i < size; i++) {
    uint32_t id = ids[i];
    int64_t j = i;
    for (; j > 0 && ids[j - 1] > id; j--) ids[j] = ids[j - 1];
    ids[j] = id;
  }
}
