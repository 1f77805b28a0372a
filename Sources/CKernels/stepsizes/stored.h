/// Learned scales in the type that they are stored in.
#ifndef DSO_STORED_H
#define DSO_STORED_H

#include <math.h>

#include "../conversions/scalar.h"
#include "../gridsearch/group.h"

/// The stored value nearest to a scale that weights can be divided by: never 0, never infinite.
static inline float dso_scale_in_use(float scale, dso_scale_type type) {
  float stored = dso_stored_scale(scale, type), magnitude = fabsf(stored);
  float least = type == DSO_SCALE_F16 ? 0x1p-24f : 0x1p-126f;
  float most = type == DSO_SCALE_F16 ? 65504.0f : type == DSO_SCALE_BF16 ? 0x1.fep127f : 0x1.fffffep127f;
  return magnitude < least ? copysignf(least, scale) : magnitude > most ? copysignf(most, scale) : stored;
}

#endif
