/// Mixtures of experts: which experts a token goes to, its rows there and back. Portable: what experts compute costs far more.
#ifndef DSO_ROUTING_H
#define DSO_ROUTING_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// How experts are chosen.
typedef struct {
  int64_t experts, selected;  ///< `selected` of `experts`, at most 65536
  int32_t sigmoid;            ///< each score by itself; 0 for a softmax over all
  int32_t normalized;         ///< weights are divided by their sum
  int64_t groups, kept;       ///< `kept` of `groups` groups of equal size are looked at; 0 groups for all experts
  int32_t two_best;           ///< groups are ranked by the sum of their two best experts; 0 for the best one
  float scale;                ///< what weights are multiplied by in the end
} dso_routing;

/// Chooses for every row of scores. Experts of a row rise; of equal ones the first is taken.
///
/// `correction` [experts] is added to what choosing looks at, never to weights; NULL for none. `scratch` holds 2 * experts floats.
/// Writes `weights` and `chosen`, [rows, selected] each.
void dso_route(const float *scores, int64_t ld, int64_t rows, const float *correction, const dso_routing *routing, float *weights,
               int32_t *chosen, float *scratch);

/// The gradient of the scores, [rows, ldg], from that of the weights, for the experts that were chosen. `scratch` holds experts floats.
void dso_route_backward(const float *scores, int64_t ld, int64_t rows, const dso_routing *routing, const int32_t *chosen,
                        const float *weight_gradients, float *gradients, int64_t ldg, float *scratch);

/// out[i] = x[indices[i]], rows of `columns`.
void dso_gather_rows(const float *x, int64_t ld, const int32_t *indices, int64_t count, int64_t columns, float *out, int64_t ldo);

/// out[indices[i]] += x[i]. Indices differ.
void dso_scatter_rows(const float *x, int64_t ld, const int32_t *indices, int64_t count, int64_t columns, float *out, int64_t ldo);

/// out[r] = sum over s of weights[r, s] * outputs[chosen[r, s]][places[r, s]], in the order of s. Rows of the outputs follow each other.
void dso_combine_rows(const float *const *outputs, const int32_t *chosen, const int32_t *places, const float *weights, int64_t rows,
                      int64_t selected, int64_t columns, float *out, int64_t ldo);

/// The gradients of `outputs` (written row by row, where their pointer is not NULL) and of `weights` (where not NULL), from that of `out`.
void dso_combine_rows_backward(const float *const *outputs, const int32_t *chosen, const int32_t *places, const float *weights,
                               int64_t rows, int64_t selected, int64_t columns, const float *gradient, int64_t ldg,
                               float *const *output_gradients, float *weight_gradients);

#ifdef __cplusplus
}
#endif
#endif
