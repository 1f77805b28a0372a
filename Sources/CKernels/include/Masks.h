/// Weights set to zero with error feedback (SparseGPT, Frantar & Alistarh 2023), in the factor H = M^T D M of Factorization.h.
#ifndef DSO_MASKS_H
#define DSO_MASKS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { DSO_MASK_COLUMNS = 128 };

/// A block of columns of some rows.
typedef struct {
  int64_t rows, columns;      ///< columns at most DSO_MASK_COLUMNS, a multiple of `group` unless they are the last
  float *weights;             ///< [rows, ldw]: in w; out what is left of it, made up for what went before
  int64_t ldw;
  const float *feedback;      ///< [rows, ldf]: what the columns before the block add to its targets
  int64_t ldf;
  const float *m;             ///< [columns, columns], strictly lower triangle
  int64_t ldm;
  const float *pivots;        ///< [columns], D
  uint8_t *kept;              ///< [rows, columns]: in, where group is 0, which weights stay; out in any case
  int64_t group;              ///< of that many columns that follow each other `kept_of_group` stay; 0 where `kept` says which
  int64_t kept_of_group;
  float *errors;              ///< [rows, lde]: out, w minus what it became
  int64_t lde;
} dso_mask_step;

/// In turn for each column p: target = w + feedback + sum over s < p of m[p, s] * error[s]; it becomes the target, or 0.
void dso_mask_with_feedback(const dso_mask_step *step);

#ifdef __cplusplus
}
#endif
#endif
