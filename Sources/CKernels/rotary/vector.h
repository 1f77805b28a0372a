/// Rotary position embedding, for the variant whose vectors are included before this file.
#ifndef DSO_ROTARY_VECTOR_H
#define DSO_ROTARY_VECTOR_H

INLINE void rotate(VF first, VF second, VF cosine, VF sine, VF *to_first, VF *to_second) {
  *to_first = vf_sub(vf_mul(first, cosine), vf_mul(second, sine));
  *to_second = vf_add(vf_mul(second, cosine), vf_mul(first, sine));
}

INLINE void rotate_halves(float *first, float *second, const float *cosines, const float *sines, int64_t half) {
  VF a, b;
  int64_t i = 0;
  for (; i + LANES <= half; i += LANES) {
    rotate(vf_load(first + i), vf_load(second + i), vf_load(cosines + i), vf_load(sines + i), &a, &b);
    vf_store(first + i, a);
    vf_store(second + i, b);
  }
  int64_t n = half - i;
  if (n <= 0) return;
  rotate(vf_load_n(first + i, n), vf_load_n(second + i, n), vf_load_n(cosines + i, n), vf_load_n(sines + i, n), &a, &b);
  vf_store_n(first + i, a, n);
  vf_store_n(second + i, b, n);
}

INLINE void rotate_neighbours(float *x, const float *cosines, const float *sines, int64_t half) {
  int64_t i = 0;
  for (; i + LANES <= half; i += LANES) {
    VF first, second, a, b;
    vf_split_pairs(vf_load(x + 2 * i), vf_load(x + 2 * i + LANES), &first, &second);
    rotate(first, second, vf_load(cosines + i), vf_load(sines + i), &first, &second);
    vf_join_pairs(first, second, &a, &b);
    vf_store(x + 2 * i, a);
    vf_store(x + 2 * i + LANES, b);
  }
  for (; i < half; i++) {
    float first = x[2 * i], second = x[2 * i + 1];
    x[2 * i] = first * cosines[i] - second * sines[i];
    x[2 * i + 1] = second * cosines[i] + first * sines[i];
  }
}

void DSO_KERNEL(rotary)(float *x, int64_t ldx, int64_t rows, int64_t heads, int64_t head_dim, int64_t rotary_dim, int interleaved,
                        const float *cosines, const float *sines, int64_t ld_table) {
  int64_t half = rotary_dim / 2;
  for (int64_t row = 0; row < rows; row++, x += ldx, cosines += ld_table, sines += ld_table) {
    for (int64_t head = 0; head < heads; head++) {
      float *at = x + head * head_dim;
      if (interleaved) {
        rotate_neighbours(at, cosines, sines, half);
      } else {
        rotate_halves(at, at + half, cosines, sines, half);
      }
    }
  }
}

#endif
