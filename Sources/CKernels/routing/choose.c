#include <math.h>

#include "../dispatch/contraction.h"
#include "../include/Routing.h"

/// What a row's scores come to: probabilities, in `p`.
static void probabilities(const float *scores, const dso_routing *routing, float *p) {
  int64_t n = routing->experts;
  if (routing->sigmoid) {
    for (int64_t i = 0; i < n; i++) p[i] = 1.0f / (1.0f + expf(-scores[i]));
    return;
  }
  float peak = scores[0], sum = 0;
  for (int64_t i = 1; i < n; i++) peak = scores[i] > peak ? scores[i] : peak;
  for (int64_t i = 0; i < n; i++) {
    p[i] = expf(scores[i] - peak);
    sum += p[i];
  }
  for (int64_t i = 0; i < n; i++) p[i] /= sum;
}

static float rank_of(const float *group, int64_t size, int32_t two_best) {
  float best = -INFINITY, second = -INFINITY;
  for (int64_t i = 0; i < size; i++) {
    if (group[i] > best) {
      second = best;
      best = group[i];
    } else if (group[i] > second) {
      second = group[i];
    }
  }
  return two_best ? best + second : best;
}

/// Takes the experts of all groups but the best ones out of the choice.
static void limit_groups(float *choice, const dso_routing *routing) {
  int64_t size = routing->experts / routing->groups;
  for (int64_t left = routing->groups - routing->kept; left > 0; left--) {
    // The worst of those that are left goes; of equal ones the last.
    int64_t worst = -1;
    float lowest = 0;
    for (int64_t g = 0; g < routing->groups; g++) {
      if (choice[g * size] == -INFINITY && rank_of(choice + g * size, size, 0) == -INFINITY) continue;
      float rank = rank_of(choice + g * size, size, routing->two_best);
      if (worst < 0 || rank <= lowest) {
        worst = g;
        lowest = rank;
      }
    }
    if (worst < 0) return;
    for (int64_t i = 0; i < size; i++) choice[worst * size + i] = -INFINITY;
  }
}

/// The weights of the chosen experts, and what they were divided by.
static float weigh(const float *p, const int32_t *chosen, const dso_routing *routing, float *weights) {
  float sum = 1;
  if (routing->normalized) {
    sum = 0;
    for (int64_t s = 0; s < routing->selected; s++) sum += p[chosen[s]];
    if (routing->sigmoid) sum += 1e-20f;
  }
  if (weights)
    for (int64_t s = 0; s < routing->selected; s++) weights[s] = p[chosen[s]] / sum * routing->scale;
  return sum;
}

void dso_route(const float *scores, int64_t ld, int64_t rows, const float *correction, const dso_routing *routing, float *weights,
               int32_t *chosen, float *scratch) {
  int64_t n = routing->experts, k = routing->selected;
  float *p = scratch, *choice = scratch + n;
  for (int64_t r = 0; r < rows; r++) {
    int32_t *row = chosen + r * k;
    probabilities(scores + r * ld, routing, p);
    // Neither NaN nor minus infinity, which marks what is taken: as the least they leave a choice to be made, and the weights tell.
    for (int64_t i = 0; i < n; i++) {
      float value = correction ? p[i] + correction[i] : p[i];
      choice[i] = value > -3.0e38f ? value : -3.0e38f;
    }
    if (routing->groups > 0) limit_groups(choice, routing);
    for (int64_t s = 0; s < k; s++) {
      int64_t best = 0;
      for (int64_t i = 1; i < n; i++)
        if (choice[i] > choice[best]) best = i;
      choice[best] = -INFINITY;
      int64_t place = s;
      while (place > 0 && row[place - 1] > best) {
        row[place] = row[place - 1];
        place--;
      }
      row[place] = (int32_t)best;
    }
    weigh(p, row, routing, weights + r * k);
  }
}

void dso_route_backward(const float *scores, int64_t ld, int64_t rows, const dso_routing *routing, const int32_t *chosen,
                        const float *weight_gradients, float *gradients, int64_t ldg, float *scratch) {
  int64_t n = routing->experts, k = routing->selected;
  float *p = scratch;
  for (int64_t r = 0; r < rows; r++) {
    const int32_t *row = chosen + r * k;
    const float *given = weight_gradients + r * k;
    float *result = gradients + r * ldg;
    probabilities(scores + r * ld, routing, p);
    float sum = weigh(p, row, routing, 0), mean = 0;
    if (routing->normalized)
      for (int64_t s = 0; s < k; s++) mean += given[s] * p[row[s]] / sum;
    for (int64_t i = 0; i < n; i++) result[i] = 0;
    for (int64_t s = 0; s < k; s++) result[row[s]] = routing->scale * (given[s] - mean) / sum;
    if (routing->sigmoid) {
      for (int64_t s = 0; s < k; s++) result[row[s]] *= p[row[s]] * (1 - p[row[s]]);
    } else {
      float inner = 0;
      for (int64_t s = 0; s < k; s++) inner += result[row[s]] * p[row[s]];
      for (int64_t i = 0; i < n; i++) result[i] = p[i] * (result[i] - inner);
    }
  }
}
