/// Vector-Jacobian products: for each forward kernel, what takes the gradient of its output to the gradients of its inputs.
///
/// The rules of CKernels.h hold: results do not depend on how work is cut into calls, except where a sum over rows is asked for one call at
/// a time (`dso_rms_norm_backward`, `dso_sum_rows`): there the caller cuts rows at places that do not depend on the number of threads.
#ifndef DSO_GRADIENTS_H
#define DSO_GRADIENTS_H

#include "CKernels.h"

#ifdef __cplusplus
extern "C" {
#endif

// MARK: - Products (float accumulation, blocks of the inner dimension added in order)

/// Bytes of scratch of the two products below, 64-byte aligned, one per thread.
int64_t dso_gradient_product_scratch_bytes(void);
/// C[m, columns n_begin..<n_end] = A[m, w->n] * W[w->n, w->k], or added to C: the gradient of a linear layer's input from that of its
/// output. The range is of the columns of W, the inner dimension is its rows; W in any storage. c points at column 0 of the whole result.
void dso_matmul_nn_f32(const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end, int accumulate,
                       float *c, int64_t ldc, void *scratch);
/// The same for few rows (decode, where the weight of keys moves to the queries): streams W once, no packing, needs no scratch. Not bit-equal
/// to dso_matmul_nn_f32.
void dso_matvec_nn_f32(const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end, float *c, int64_t ldc);
/// C[rows m_begin..<m_end, n] = A[k, m]^T * B[k, n], or added to C: the gradient of a linear layer's weight, from the gradient of its
/// output (A) and its input (B). c points at row 0 of the whole result.
void dso_matmul_tn_f32(const float *a, int64_t lda, int64_t m_begin, int64_t m_end, const float *b, int64_t ldb, int64_t n, int64_t k,
                       int accumulate, float *c, int64_t ldc, void *scratch);

// MARK: - Attention

/// One key-value head of one sequence, and the query heads that share it. Query heads lie head_dim apart in a row of queries, v_dim apart
/// in a row of outputs. Visibility is that of dso_attention; `output` is what it computed.
typedef struct {
  const float *queries, *keys, *values;      ///< [q_tokens, query_heads * head_dim], [kv_tokens, head_dim], [kv_tokens, v_dim]
  const float *output, *output_gradient;     ///< [q_tokens, query_heads * v_dim]
  float *query_gradient, *key_gradient, *value_gradient;  ///< like queries, keys, values; overwritten
  int64_t ld_queries, ld_keys, ld_values, ld_output, ld_output_gradient;
  int64_t ld_query_gradient, ld_key_gradient, ld_value_gradient;
  int64_t query_heads, q_tokens, kv_tokens, q_offset, head_dim, v_dim, window;
  float scale;
} dso_attention_gradient;

/// Recomputes probabilities block by block from queries, keys and each query's largest score and total (Dao et al., FlashAttention-2,
/// 2307.08691); no score matrix is kept. Sums over queries are in order of heads, then of positions.
/// scratch: dso_attention_backward_scratch_bytes(head_dim, v_dim), 64-byte aligned.
void dso_attention_backward(const dso_attention_gradient *g, void *scratch);
int64_t dso_attention_backward_scratch_bytes(int64_t head_dim, int64_t v_dim);

/// The same where queries see chosen blocks of keys only, as dso_select_blocks chose them: chosen is [query_heads, q_tokens, count]. The choice has
/// no gradient; g->window is not looked at.
/// scratch: dso_attention_selected_backward_scratch_bytes(kv_tokens, block, count), 64-byte aligned.
void dso_attention_selected_backward(const dso_attention_gradient *g, int64_t block, int64_t count, const int32_t *chosen, void *scratch);
int64_t dso_attention_selected_backward_scratch_bytes(int64_t kv_tokens, int64_t block, int64_t count);

// MARK: - Rows and elements

/// From the input x of dso_rms_norm and the gradient dy of its output: the gradient of x, written to dx or added to it (NULL: not wanted),
/// and that of the gain, added to dgain[width] (NULL: not wanted), row after row.
void dso_rms_norm_backward(const float *x, int64_t ldx, const float *gain, const float *dy, int64_t lddy, int accumulate, float *dx,
                           int64_t lddx, float *dgain, int64_t rows, int64_t width, float epsilon);
/// The same of dso_layer_norm; the gradient of its bias is the sum of dy over rows.
void dso_layer_norm_backward(const float *x, int64_t ldx, const float *gain, const float *dy, int64_t lddy, int accumulate, float *dx,
                             int64_t lddx, float *dgain, int64_t rows, int64_t width, float epsilon);
/// From the inputs of dso_gated_activation and the gradient dy of its output: dgate and dup, either of which may be NULL. dgate may be
/// gate, dup may be up, and either may be dy.
void dso_gated_activation_backward(dso_activation kind, const float *gate, const float *up, const float *dy, float *dgate, float *dup,
                                   int64_t count);
/// sums[i] += the sum over rows of x[row, i], for `width` columns, added 64 rows at a time, then these sums (by the portable variant: in
/// double). One call for all rows: the result depends on how rows are cut.
void dso_sum_rows(const float *x, int64_t ldx, int64_t rows, int64_t width, float *sums);
/// y = x rounded as dso_quantize_rows_s8 rounds it (code * scale). In place allowed.
void dso_fake_quantize_rows_s8(const float *x, int64_t ldx, int64_t rows, int64_t k, float *y, int64_t ldy);

// MARK: - Losses (one row of logits at a time; the loss in double, in nats)

/// -log of the probability of `target`; the row becomes weight times its gradient. `target` is in 0..<count.
double dso_cross_entropy_gradient(float *logits, int64_t target, int64_t count, float weight);
/// KL(teacher || student) of the distributions at a temperature > 0; the student's row becomes weight times the gradient with respect to
/// its logits, weight / temperature * (student's probabilities - teacher's).
double dso_kl_divergence_gradient(const float *teacher, float *student, int64_t count, float temperature, float weight);
/// The same where only some probabilities of the teacher are known, at that temperature: `p` of the `kept` tokens `ids`, which rise, and that
/// all others together have what is left of 1. They count as one token.
double dso_partial_divergence_gradient(const uint32_t *ids, const float *p, int64_t kept, float *student, int64_t count,
                                       float temperature, float weight);

#ifdef __cplusplus
}
#endif
#endif
