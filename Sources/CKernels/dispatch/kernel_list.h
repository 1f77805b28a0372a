/// The one list of kernels that have a variant per instruction set. It feeds the declarations, the tables, the public functions and
/// (through dso_kernel_name) the tests and benchmarks.
///
/// PROCEDURE(name, (parameters), (arguments)) returns nothing, FUNCTION(type, name, (parameters), (arguments)) returns a value.
#ifndef DSO_KERNEL_LIST_H
#define DSO_KERNEL_LIST_H

#include "../include/CKernels.h"

#define DSO_KERNELS(PROCEDURE, FUNCTION)                                                                                            \
  PROCEDURE(matmul_f32,                                                                                                             \
            (const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end, const float *bias,       \
             float *c, int64_t ldc, void *scratch),                                                                                 \
            (a, lda, m, w, n_begin, n_end, bias, c, ldc, scratch))                                                                  \
  PROCEDURE(matvec_f32,                                                                                                             \
            (const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end, const float *bias,       \
             float *c, int64_t ldc, void *scratch),                                                                                 \
            (a, lda, m, w, n_begin, n_end, bias, c, ldc, scratch))                                                                  \
  PROCEDURE(matmul_bf16,                                                                                                            \
            (const uint16_t *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end, const float *bias,    \
             float *c, int64_t ldc, void *scratch),                                                                                 \
            (a, lda, m, w, n_begin, n_end, bias, c, ldc, scratch))                                                                  \
  PROCEDURE(matmul_s8,                                                                                                              \
            (const int8_t *a, int64_t lda, const float *a_scales, const int32_t *sums, int64_t m, const dso_weights *w,             \
             int64_t n_begin, int64_t n_end, const float *bias, float *c, int64_t ldc, void *scratch),                              \
            (a, lda, a_scales, sums, m, w, n_begin, n_end, bias, c, ldc, scratch))                                                  \
  PROCEDURE(quantize_rows_s8,                                                                                                       \
            (const float *x, int64_t ldx, int64_t rows, int64_t k, int8_t *q, int64_t ldq, float *scales, int64_t group_size,       \
             int32_t *sums),                                                                                                        \
            (x, ldx, rows, k, q, ldq, scales, group_size, sums))                                                                    \
  PROCEDURE(matmul_s16,                                                                                                             \
            (const int16_t *a, int64_t lda, const float *a_scales, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end, \
             const float *bias, float *c, int64_t ldc, void *scratch),                                                              \
            (a, lda, a_scales, m, w, n_begin, n_end, bias, c, ldc, scratch))                                                        \
  PROCEDURE(matvec_s16,                                                                                                             \
            (const int16_t *a, int64_t lda, const float *a_scales, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end, \
             const float *bias, float *c, int64_t ldc, void *scratch),                                                              \
            (a, lda, a_scales, m, w, n_begin, n_end, bias, c, ldc, scratch))                                                        \
  PROCEDURE(quantize_rows_s16, (const float *x, int64_t ldx, int64_t rows, int64_t k, int16_t *q, int64_t ldq, float *scales),      \
            (x, ldx, rows, k, q, ldq, scales))                                                                                      \
  PROCEDURE(attention,                                                                                                              \
            (const float *q, int64_t ldq, const float *k, int64_t ldk, const float *v, int64_t ldv, float *out, int64_t ldo,        \
             int64_t q_tokens, int64_t kv_tokens, int64_t q_offset, int64_t head_dim, int64_t v_dim, float scale, int64_t window,   \
             void *scratch),                                                                                                        \
            (q, ldq, k, ldk, v, ldv, out, ldo, q_tokens, kv_tokens, q_offset, head_dim, v_dim, scale, window, scratch))             \
  PROCEDURE(quantize_heads_s8,                                                                                                      \
            (const float *x, int64_t ldx, int64_t rows, int64_t heads, int64_t dim, int8_t *q, int64_t ldq, float *scales,          \
             int64_t ld_scales),                                                                                                    \
            (x, ldx, rows, heads, dim, q, ldq, scales, ld_scales))                                                                  \
  PROCEDURE(attention_s8,                                                                                                           \
            (const float *q, int64_t ldq, const dso_quantized_head *k, const dso_quantized_head *v, float *out, int64_t ldo,        \
             int64_t q_tokens, int64_t kv_tokens, int64_t q_offset, int64_t head_dim, int64_t v_dim, float scale, int64_t window,   \
             void *scratch),                                                                                                        \
            (q, ldq, k, v, out, ldo, q_tokens, kv_tokens, q_offset, head_dim, v_dim, scale, window, scratch))                       \
  PROCEDURE(select_blocks,                                                                                                          \
            (const float *q, int64_t ldq, const float *pooled, int64_t ld_pooled, int64_t q_tokens, int64_t q_offset, int64_t head_dim,\
             int64_t block, int64_t count, int32_t *chosen, void *scratch),                                                         \
            (q, ldq, pooled, ld_pooled, q_tokens, q_offset, head_dim, block, count, chosen, scratch))                               \
  PROCEDURE(attention_selected,                                                                                                     \
            (const float *q, int64_t ldq, const float *k, int64_t ldk, const float *v, int64_t ldv, float *out, int64_t ldo,        \
             int64_t q_tokens, int64_t kv_tokens, int64_t q_offset, int64_t head_dim, int64_t v_dim, float scale, int64_t block,    \
             int64_t count, const int32_t *chosen, void *scratch),                                                                  \
            (q, ldq, k, ldk, v, ldv, out, ldo, q_tokens, kv_tokens, q_offset, head_dim, v_dim, scale, block, count, chosen, scratch))\
  PROCEDURE(attention_selected_s8,                                                                                                  \
            (const float *q, int64_t ldq, const dso_quantized_head *k, const dso_quantized_head *v, float *out, int64_t ldo,        \
             int64_t q_tokens, int64_t kv_tokens, int64_t q_offset, int64_t head_dim, int64_t v_dim, float scale, int64_t block,    \
             int64_t count, const int32_t *chosen, void *scratch),                                                                  \
            (q, ldq, k, v, out, ldo, q_tokens, kv_tokens, q_offset, head_dim, v_dim, scale, block, count, chosen, scratch))         \
  PROCEDURE(attention_selected_backward,                                                                                            \
            (const dso_attention_gradient *g, int64_t block, int64_t count, const int32_t *chosen, void *scratch),                  \
            (g, block, count, chosen, scratch))                                                                                     \
  PROCEDURE(rms_norm,                                                                                                               \
            (const float *x, int64_t ldx, const float *gain, float *y, int64_t ldy, int64_t rows, int64_t width, float epsilon),    \
            (x, ldx, gain, y, ldy, rows, width, epsilon))                                                                           \
  PROCEDURE(layer_norm,                                                                                                             \
            (const float *x, int64_t ldx, const float *gain, const float *bias, float *y, int64_t ldy, int64_t rows, int64_t width, \
             float epsilon),                                                                                                        \
            (x, ldx, gain, bias, y, ldy, rows, width, epsilon))                                                                     \
  PROCEDURE(rotary,                                                                                                                 \
            (float *x, int64_t ldx, int64_t rows, int64_t heads, int64_t head_dim, int64_t rotary_dim, int interleaved,             \
             const float *cosines, const float *sines, int64_t ld_table),                                                           \
            (x, ldx, rows, heads, head_dim, rotary_dim, interleaved, cosines, sines, ld_table))                                     \
  PROCEDURE(gated_activation, (dso_activation kind, const float *gate, const float *up, float *y, int64_t count),                   \
            (kind, gate, up, y, count))                                                                                             \
  PROCEDURE(add, (const float *x, float *y, int64_t count), (x, y, count))                                                          \
  PROCEDURE(matmul_nn_f32,                                                                                                          \
            (const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end, int accumulate,          \
             float *c, int64_t ldc, void *scratch),                                                                                 \
            (a, lda, m, w, n_begin, n_end, accumulate, c, ldc, scratch))                                                            \
  PROCEDURE(matvec_nn_f32,                                                                                                          \
            (const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end, float *c,                \
             int64_t ldc),                                                                                                          \
            (a, lda, m, w, n_begin, n_end, c, ldc))                                                                                 \
  PROCEDURE(matmul_tn_f32,                                                                                                          \
            (const float *a, int64_t lda, int64_t m_begin, int64_t m_end, const float *b, int64_t ldb, int64_t n, int64_t k,        \
             int accumulate, float *c, int64_t ldc, void *scratch),                                                                 \
            (a, lda, m_begin, m_end, b, ldb, n, k, accumulate, c, ldc, scratch))                                                    \
  PROCEDURE(matmul_nt_bf16,                                                                                                         \
            (const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end, const float *bias,       \
             float *c, int64_t ldc, void *scratch),                                                                                 \
            (a, lda, m, w, n_begin, n_end, bias, c, ldc, scratch))                                                                  \
  PROCEDURE(matmul_nn_bf16,                                                                                                         \
            (const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end, int accumulate,          \
             float *c, int64_t ldc, void *scratch),                                                                                 \
            (a, lda, m, w, n_begin, n_end, accumulate, c, ldc, scratch))                                                            \
  PROCEDURE(matmul_tn_bf16,                                                                                                         \
            (const float *a, int64_t lda, int64_t m_begin, int64_t m_end, const float *b, int64_t ldb, int64_t n, int64_t k,        \
             int accumulate, float *c, int64_t ldc, void *scratch),                                                                 \
            (a, lda, m_begin, m_end, b, ldb, n, k, accumulate, c, ldc, scratch))                                                    \
  PROCEDURE(attention_backward, (const dso_attention_gradient *g, void *scratch), (g, scratch))                                     \
  PROCEDURE(rms_norm_backward,                                                                                                      \
            (const float *x, int64_t ldx, const float *gain, const float *dy, int64_t lddy, int accumulate, float *dx,              \
             int64_t lddx, float *dgain, int64_t rows, int64_t width, float epsilon),                                               \
            (x, ldx, gain, dy, lddy, accumulate, dx, lddx, dgain, rows, width, epsilon))                                            \
  PROCEDURE(gated_activation_backward,                                                                                              \
            (dso_activation kind, const float *gate, const float *up, const float *dy, float *dgate, float *dup, int64_t count),    \
            (kind, gate, up, dy, dgate, dup, count))                                                                                \
  PROCEDURE(sum_rows, (const float *x, int64_t ldx, int64_t rows, int64_t width, float *sums), (x, ldx, rows, width, sums))         \
  PROCEDURE(fake_quantize_rows_s8, (const float *x, int64_t ldx, int64_t rows, int64_t k, float *y, int64_t ldy),                   \
            (x, ldx, rows, k, y, ldy))                                                                                              \
  FUNCTION(int64_t, quantize_rows_s8_fixed,                                                                                         \
           (const float *x, int64_t ldx, int64_t rows, int64_t k, float scale, int8_t *q, int64_t ldq, int64_t group_size,          \
            int32_t *sums),                                                                                                         \
           (x, ldx, rows, k, scale, q, ldq, group_size, sums))                                                                      \
  PROCEDURE(fake_quantize_rows_s8_fixed,                                                                                            \
            (const float *x, int64_t ldx, int64_t rows, int64_t k, float scale, float *y, int64_t ldy), (x, ldx, rows, k, scale, y, ldy))\
  FUNCTION(double, cross_entropy_gradient, (float *logits, int64_t target, int64_t count, float weight),                            \
           (logits, target, count, weight))                                                                                         \
  FUNCTION(double, kl_divergence_gradient,                                                                                          \
           (const float *teacher, float *student, int64_t count, float temperature, float weight),                                  \
           (teacher, student, count, temperature, weight))                                                                          \
  FUNCTION(double, partial_divergence_gradient,                                                                                     \
           (const uint32_t *ids, const float *p, int64_t kept, float *student, int64_t count, float temperature, float weight),     \
           (ids, p, kept, student, count, temperature, weight))                                                                     \
  FUNCTION(dso_row_summary, summarize_logits, (const float *row, int64_t count), (row, count))                                      \
  FUNCTION(double, kl_divergence,                                                                                                   \
           (const float *reference, double reference_lse, const float *other, double other_lse, int64_t count),                     \
           (reference, reference_lse, other, other_lse, count))                                                                     \
  FUNCTION(double, sum_squares, (const float *x, int64_t count), (x, count))                                                        \
  FUNCTION(double, sum_squared_differences, (const float *x, const float *y, int64_t count), (x, y, count))                         \
  PROCEDURE(convert_bf16_to_f32, (const void *from, float *to, int64_t count), (from, to, count))                                   \
  PROCEDURE(convert_f16_to_f32, (const void *from, float *to, int64_t count), (from, to, count))                                    \
  PROCEDURE(convert_f64_to_f32, (const void *from, float *to, int64_t count), (from, to, count))                                    \
  PROCEDURE(convert_f32_to_bf16, (const float *from, uint16_t *to, int64_t count), (from, to, count))                               \
  PROCEDURE(convert_f32_to_f16, (const float *from, uint16_t *to, int64_t count), (from, to, count))                                \
  PROCEDURE(pack_codes, (const uint8_t *codes, int64_t count, int bits, uint32_t *words), (codes, count, bits, words))              \
  PROCEDURE(unpack_codes, (const uint32_t *words, int64_t count, int bits, uint8_t *codes), (words, count, bits, codes))            \
  PROCEDURE(dequantize, (const dso_weights *w, int64_t row_begin, int64_t row_end, float *out, int64_t ldo),                        \
            (w, row_begin, row_end, out, ldo))                                                                                      \
  PROCEDURE(min_max, (const float *x, int64_t count, float *minimum, float *maximum, int64_t *nonfinite),                           \
            (x, count, minimum, maximum, nonfinite))                                                                                \
  FUNCTION(int64_t, quantize_group, (const float *x, int64_t count, float scale, int zero_point, int bits, uint8_t *codes),         \
           (x, count, scale, zero_point, bits, codes))                                                                              \
  FUNCTION(dso_nearest_counts, round_rows_to_nearest,                                                                               \
           (const void *weights, int storage, int64_t row_bytes, int64_t rows, int64_t k, const dso_nearest_grid *grid,             \
            uint32_t *words, float *scales, int8_t *zero_points, void *scratch),                                                    \
           (weights, storage, row_bytes, rows, k, grid, words, scales, zero_points, scratch))                                       \
  PROCEDURE(weight_error,                                                                                                           \
            (const dso_weights *dense, const dso_weights *quantized, int64_t row, double *signal, double *noise),                   \
            (dense, quantized, row, signal, noise))                                                                                 \
  FUNCTION(dso_grid, search_grid,                                                                                                   \
           (const float *w, const float *importance, int64_t count, int bits, int symmetric, dso_scale_type type, void *scratch),   \
           (w, importance, count, bits, symmetric, type, scratch))                                                                  \
  FUNCTION(double, grid_error,                                                                                                      \
           (const float *w, const float *importance, int64_t count, int bits, float scale, int zero_point),                         \
           (w, importance, count, bits, scale, zero_point))                                                                         \
  PROCEDURE(imatrix_importance, (const float *w, const float *importance, int64_t count, float *out), (w, importance, count, out))  \
  FUNCTION(dso_grid, half_quadratic_grid,                                                                                           \
           (const float *w, int64_t count, int bits, int symmetric, dso_scale_type type, dso_half_quadratic solver, dso_grid start, \
            void *scratch),                                                                                                         \
           (w, count, bits, symmetric, type, solver, start, scratch))                                                               \
  PROCEDURE(accumulate_outer,                                                                                                       \
            (const dso_outer_product *p, int64_t i_begin, int64_t i_end, int64_t j_begin, int64_t j_end, void *scratch),            \
            (p, i_begin, i_end, j_begin, j_end, scratch))                                                                           \
  PROCEDURE(solve_panel,                                                                                                            \
            (float *b, int64_t ldb, int64_t rows, const float *transposed, const float *pivots, int64_t j_begin, int64_t j_end),    \
            (b, ldb, rows, transposed, pivots, j_begin, j_end))                                                                     \
  PROCEDURE(dequantize_e4m3_blocks,                                                                                                 \
            (const uint8_t *codes, int64_t first, int64_t last, int64_t columns, const float *scales, int64_t ld_scales,            \
             int64_t block_rows, int64_t block_columns, float *out),                                                                \
            (codes, first, last, columns, scales, ld_scales, block_rows, block_columns, out))                                       \
  PROCEDURE(adamw_step,                                                                                                             \
            (const dso_adamw *step, const float *gradient, float *values, float *means, float *variances, int64_t count),           \
            (step, gradient, values, means, variances, count))                                                                      \
  PROCEDURE(hadamard_rows, (const dso_hadamard *q, float *x, int64_t ldx, int64_t rows, int64_t n), (q, x, ldx, rows, n))             \
  PROCEDURE(dynamic_tanh,                                                                                                           \
            (const float *x, int64_t ldx, float steepness, const float *gain, const float *bias, float *y, int64_t ldy, int64_t rows,\
             int64_t width),                                                                                                        \
            (x, ldx, steepness, gain, bias, y, ldy, rows, width))                                                                   \
  PROCEDURE(dynamic_tanh_backward,                                                                                                  \
            (const float *x, int64_t ldx, float steepness, const float *gain, const float *dy, int64_t lddy, int accumulate,        \
             float *dx, int64_t lddx, float *dgain, float *dsteepness, int64_t rows, int64_t width),                                \
            (x, ldx, steepness, gain, dy, lddy, accumulate, dx, lddx, dgain, dsteepness, rows, width))                              \
  PROCEDURE(layer_norm_backward,                                                                                                    \
            (const float *x, int64_t ldx, const float *gain, const float *dy, int64_t lddy, int accumulate, float *dx,              \
             int64_t lddx, float *dgain, int64_t rows, int64_t width, float epsilon),                                               \
            (x, ldx, gain, dy, lddy, accumulate, dx, lddx, dgain, rows, width, epsilon))                                            \
  FUNCTION(int64_t, learned_round, (const dso_learned_row *row, float *values, uint8_t *codes), (row, values, codes))               \
  PROCEDURE(learned_update, (const dso_learned_row *row, const float *gradient, dso_learned_rates rates), (row, gradient, rates))   \
  FUNCTION(int64_t, step_round, (const dso_step_row *row, float *values, uint8_t *codes), (row, values, codes))                     \
  PROCEDURE(step_backward, (const dso_step_row *row, float *gradient, float *scale_gradient), (row, gradient, scale_gradient))      \
  FUNCTION(int64_t, round_with_feedback, (const dso_feedback_step *step), (step))                                                   \
  FUNCTION(int64_t, round_two_sided, (const dso_two_sided_step *step), (step))                                                      \
  FUNCTION(int64_t, descend_tile, (const dso_descent_step *step), (step))                                                           \
  PROCEDURE(encode_blocks,                                                                                                          \
            (dso_block_type type, int64_t k, const uint32_t *words, dso_block_parts parts, uint8_t *blocks),                        \
            (type, k, words, parts, blocks))                                                                                        \
  PROCEDURE(decode_blocks,                                                                                                          \
            (dso_block_type type, int64_t k, const uint8_t *blocks, uint32_t *words, dso_block_parts parts),                        \
            (type, k, blocks, words, parts))                                                                                        \
  FUNCTION(int64_t, quantize_blocks,                                                                                                \
           (const dso_block_search *search, const float *x, int64_t ldx, int64_t rows, int64_t k, const float *importance,          \
            uint32_t *words, dso_block_parts parts, void *scratch),                                                                 \
           (search, x, ldx, rows, k, importance, words, parts, scratch))                                                            \
  FUNCTION(int64_t, quantize_affine,                                                                                                \
           (const dso_affine_search *search, const float *x, int64_t ldx, int64_t rows, int64_t k, const float *importance,         \
            uint32_t *words, float *scales, float *minima, void *scratch),                                                          \
           (search, x, ldx, rows, k, importance, words, scales, minima, scratch))

#endif
