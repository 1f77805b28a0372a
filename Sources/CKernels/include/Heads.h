/// Features of heads picked out, put in, or added.
#ifndef DSO_HEADS_H
#define DSO_HEADS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// For every row and head, `width` features of x to those of out. `x_step` and `out_step` are features from head to head: 0 reads one head for all,
/// or adds all heads into one. With `add` they are added, else they take the place of what was there.
void dso_copy_heads(const float *x, int64_t ld, int64_t x_step, float *out, int64_t ldo, int64_t out_step, int64_t rows, int64_t heads,
                    int64_t width, int32_t add);

#ifdef __cplusplus
}
#endif
#endif
