/// What training does to parameters between gradients. Every instruction set gives the same bits.
#ifndef DSO_OPTIMIZER_H
#define DSO_OPTIMIZER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// One step of AdamW (Loshchilov & Hutter 2019), in the order of operations that PyTorch's implementation has.
typedef struct {
  float learning_rate, beta1, beta2, epsilon, weight_decay;
  float correction1, correction2;  ///< 1 - beta1^t and 1 - beta2^t of the step t = 1, 2, ...
  float gradient_factor;           ///< what gradients are multiplied by first (clipping, 1 / loss scale)
} dso_adamw;

/// values, means and variances [count] become those of the next step.
void dso_adamw_step(const dso_adamw *step, const float *gradient, float *values, float *means, float *variances, int64_t count);

/// Values of a state that share a scale.
#define DSO_STATE_BLOCK 256

/// 256 ascending values from -1 to 1 (or 0 to 1) that bytes stand for, and the midpoints between neighbours, the last one infinite.
typedef struct {
  float values[256];
  float midpoints[256];
} dso_state_map;

/// The same with states of a byte each (Dettmers et al. 2022, 2110.02861): byte i stands for map->values[byte] times the scale of its block
/// of DSO_STATE_BLOCK. States are widened, moved on and narrowed again a block at a time. A new block (scale 0) holds zeros.
void dso_adamw_step_u8(const dso_adamw *step, const dso_state_map *mean_map, const dso_state_map *variance_map, const float *gradient,
                       float *values, uint8_t *means, float *mean_scales, uint8_t *variances, float *variance_scales, int64_t count);

/// The sum of squares in double, in an order that depends on the count alone; infinite or NaN when an element is.
double dso_gradient_square(const float *gradient, int64_t count);

/// y = factor * x. In place allowed.
void dso_scaled_copy(const float *x, float factor, float *y, int64_t count);

#ifdef __cplusplus
}
#endif
#endif
