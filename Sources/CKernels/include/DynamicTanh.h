/// Dynamic tanh in the place of a norm (Zhu et al., Transformers without Normalization, 2503.10622). Sums in double.
#ifndef DSO_DYNAMIC_TANH_H
#define DSO_DYNAMIC_TANH_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// y = gain * tanh(steepness * x) + bias, per row of `width`. In place allowed.
void dso_dynamic_tanh(const float *x, int64_t ldx, float steepness, const float *gain, const float *bias, float *y, int64_t ldy,
                      int64_t rows, int64_t width);
/// From x and the gradient dy of y: that of x, written to dx or added to it (NULL: not wanted); that of the gain, added to dgain[width]; and
/// that of the steepness, added to *dsteepness (NULL both: not wanted). That of the bias is the sum of dy over rows.
void dso_dynamic_tanh_backward(const float *x, int64_t ldx, float steepness, const float *gain, const float *dy, int64_t lddy,
                               int accumulate, float *dx, int64_t lddx, float *dgain, float *dsteepness, int64_t rows, int64_t width);
/// The straight line from tanh(steepness * x) to x times factors[row], for each column by least squares over the rows: slopes and intercepts
/// [width]. Returns the sum over columns of weights[column] times the squared error. With values that do not vary the slope is 0.
double dso_fit_dynamic_tanh(const float *x, int64_t ldx, const float *factors, const float *weights, int64_t rows, int64_t width,
                            float steepness, float *slopes, float *intercepts);

#ifdef __cplusplus
}
#endif
#endif
