/// The nearest of 16 ascending levels, the lower of two as near, for the variant whose vectors are included before this file.
#ifndef DSO_LEVELS_H
#define DSO_LEVELS_H

INLINE VF level_boundary(const float *levels, int upper) { return vf_set((levels[upper - 1] + levels[upper]) / 2); }

INLINE VF nearest_level(VF value, const float *levels) {
  VF level = vf_set(levels[0]);
  for (int i = 1; i < 16; i++) level = vf_where_less(level_boundary(levels, i), value, vf_set(levels[i]), level);
  return level;
}

INLINE VF nearest_level_index(VF value, const float *levels) {
  VF index = vf_zero();
  for (int i = 1; i < 16; i++) index = vf_where_less(level_boundary(levels, i), value, vf_set((float)i), index);
  return index;
}

#endif
