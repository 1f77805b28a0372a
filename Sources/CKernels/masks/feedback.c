/// Weights set to zero with what is lost passed on to the weights behind them. Portable: rows are independent, and the compiler's vectors suffice.
#include "../dispatch/contraction.h"
#include "../include/Masks.h"

static float target_of(const dso_mask_step *s, const float *errors, const float *w, int64_t p, int64_t until) {
  const float *m = s->m + p * s->ldm;
  float sum = 0;
  for (int64_t i = 0; i < until; i++) sum += m[i] * errors[i];
  return w[p] + sum;
}

void dso_mask_with_feedback(const dso_mask_step *s) {
  for (int64_t r = 0; r < s->rows; r++) {
    float *w = s->weights + r * s->ldw, *errors = s->errors + r * s->lde;
    const float *fed = s->feedback + r * s->ldf;
    uint8_t *kept = s->kept + r * s->columns;
    float targets[DSO_MASK_COLUMNS];
    // What earlier blocks leave is a part of every target here.
    for (int64_t p = 0; p < s->columns; p++) targets[p] = w[p] + fed[p];
    for (int64_t p = 0; p < s->columns; p++) {
      if (s->group > 0 && p % s->group == 0) {
        int64_t width = s->columns - p < s->group ? s->columns - p : s->group;
        float scores[DSO_MASK_COLUMNS];
        for (int64_t i = 0; i < width; i++) {
          float t = target_of(s, errors, targets, p + i, p);
          scores[i] = s->pivots[p + i] * t * t;
          kept[p + i] = 0;
        }
        for (int64_t n = 0; n < s->kept_of_group && n < width; n++) {
          int64_t best = -1;
          for (int64_t i = 0; i < width; i++)
            if (!kept[p + i] && (best < 0 || scores[i] > scores[best])) best = i;
          if (best >= 0) kept[p + best] = 1;
        }
      }
      float q = kept[p] ? target_of(s, errors, targets, p, p) : 0;
      errors[p] = w[p] - q;
      w[p] = q;
    }
  }
}
