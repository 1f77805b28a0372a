/// DeepSeekOptimize kernels: every loop over weights and activations. Portable C with variants per instruction set, chosen at run time.
///
/// Rules that hold for all of them:
/// - Matrices are row-major. `ld*` is the distance between rows in elements. Pointers of type `void *` may be unaligned; the others are
///   aligned to their element only. Nothing outside the stated ranges is written.
/// - Determinism: the value of an output element depends on its own row of activations, its own row of weights and K,
///   never on the range of rows and columns a call was given. So work may be cut anywhere and threads never change a byte.
/// - Nothing allocates; what a kernel needs beyond the stack is the caller's `scratch`.
/// - Rounding of floats to integers is to nearest, ties to even.
#ifndef DSO_CKERNELS_H
#define DSO_CKERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "Adapters.h"
#include "AffineSearch.h"
#include "Blocks.h"
#include "CodeLevels.h"
#include "Digest.h"
#include "DynamicTanh.h"
#include "Factorization.h"
#include "Float4.h"
#include "Float8.h"
#include "GridSearch.h"
#include "Heads.h"
#include "LearnedRounding.h"
#include "Masks.h"
#include "Memory.h"
#include "NearestRounding.h"
#include "Optimizer.h"
#include "QuantizedCache.h"
#include "Rearranging.h"
#include "Routing.h"
#include "SelectedAttention.h"
#include "StaticActivations.h"
#include "Statistics.h"
#include "StepSizes.h"
#include "Transforms.h"

#ifdef __cplusplus
extern "C" {
#endif

// MARK: - Instruction sets

/// Ordered: a later set of the same machine kind includes the earlier ones.
typedef enum {
  DSO_ISA_PORTABLE = 0,
  DSO_ISA_AVX2 = 1,    ///< AVX2, FMA, F16C
  DSO_ISA_AVX512 = 2,  ///< AVX-512 F, BW, DQ, VL, VNNI, BF16, VBMI
  DSO_ISA_NEON = 3,    ///< AArch64 with the dot-product extension
  DSO_ISA_NEON_I8MM = 4,  ///< and with the one for products of 8-bit matrices
} dso_isa;

/// The set in use: the best this processor has, or the one that the environment variable DEEPSEEK_OPTIMIZE_ISA
/// (portable, avx2, avx512, neon, neon-i8mm) forces, if the processor has it.
dso_isa dso_isa_current(void);
/// Whether this processor can run that set.
int dso_isa_available(dso_isa isa);
/// "portable", "avx2", "avx512", "neon", "neon-i8mm".
const char *dso_isa_name(dso_isa isa);
/// Makes every kernel use that set from now on (for tests and benchmarks). Returns 0 when it is not available. Not thread-safe.
int dso_isa_force(dso_isa isa);

/// The kernels that have a variant per instruction set, for tests and benchmarks that must not miss one: "dso_matmul_f32" and so on.
int dso_kernel_count(void);
/// NULL when there is no such kernel.
const char *dso_kernel_name(int index);

// MARK: - Threads

/// A fixed set of worker threads. The caller of dso_pool_run is one of them.
typedef struct dso_pool dso_pool;
/// threads >= 1. NULL when threads cannot be started.
dso_pool *dso_pool_create(int threads);
void dso_pool_destroy(dso_pool *pool);
int dso_pool_threads(const dso_pool *pool);
/// Whether the calling thread is inside a body right now.
int dso_pool_is_inside(void);
/// Runs body(context, task, worker) for task in 0..<tasks, each once, worker in 0..<threads; returns when all are done.
/// Tasks are handed out in order, dynamically. A call from inside a body of the same pool runs inline, with the same worker number.
/// One caller at a time (others wait).
void dso_pool_run(dso_pool *pool, int64_t tasks, void (*body)(void *context, int64_t task, int worker), void *context);

// MARK: - Weights

typedef enum {
  DSO_STORAGE_F32 = 0,
  DSO_STORAGE_BF16 = 1,
  DSO_STORAGE_F16 = 2,
  DSO_STORAGE_QUANTIZED = 3,
} dso_storage;

/// A weight matrix [n, k] as it lies in the checkpoint. In every storage row r starts at data + r*row_bytes, at any alignment; nothing
/// behind the last element of a row is read.
///
/// Quantized: code i of a row is the `bits` bits from bit i*bits of the little-endian stream, stored as
/// code + 2^(bits-1); weight = (code - zero_point) * scale of its group, in float. Groups are group_size wide, the last may be shorter;
/// groups per row = ceil(k / group_size).
///
/// Codes may instead stand for levels of a table (NF4 and the like): weight = levels[stored code] * scale, in float, without zero points;
/// or begin at a minimum: weight = stored code * scale + minimum, in float, the product rounded before the sum.
typedef struct {
  dso_storage storage;
  int32_t bits;                ///< 2..8, quantized only
  const void *data;
  int64_t row_bytes;           ///< distance between rows, every storage
  int64_t n, k;
  int64_t group_size;          ///< quantized only; k for one scale per row
  const float *scales;         ///< [n, groups]
  const int8_t *zero_points;   ///< [n, groups], NULL when symmetric
  const float *levels;         ///< [2^bits], by stored code; NULL for evenly spaced codes. zero_points is NULL with them
  const float *minima;         ///< [n, groups], NULL for none; zero_points and levels are NULL with them
} dso_weights;

// MARK: - Products: C[m, n_begin..<n_end] = A[m, k] * W[n, k]^T (+ bias[n])

/// Bytes of scratch that the products below need for these weights, whatever m, the range and the instruction set (64-byte aligned memory,
/// one per thread). It depends on k only.
int64_t dso_matmul_scratch_bytes(const dso_weights *w);
/// Multiple of which n_begin should be for full speed (results never depend on it). Activations are packed once per call and block of K, so
/// a range should be at least this wide; twice to four times as wide is a little better.
int64_t dso_matmul_tile_n(void);

/// Prefill: float activations, any storage of weights, float accumulation. c points at column 0 of the whole result.
void dso_matmul_f32(const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end,
                    const float *bias, float *c, int64_t ldc, void *scratch);
/// The same for few rows (decode, m of 1 to 8): streams the weights once, no packing. Not bit-equal to dso_matmul_f32.
void dso_matvec_f32(const float *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end,
                    const float *bias, float *c, int64_t ldc, void *scratch);
/// bfloat16 activations and products (AVX-512 BF16 where present; elsewhere widened), float accumulation. Any storage; weights that are not
/// bfloat16 are rounded to it.
void dso_matmul_bf16(const uint16_t *a, int64_t lda, int64_t m, const dso_weights *w, int64_t n_begin, int64_t n_end,
                     const float *bias, float *c, int64_t ldc, void *scratch);

/// Dynamic symmetric int8 per row: scale = absmax / 127.5 (1 for an all-zero row, so that codes are 0), q = round(x / scale), within
/// -128...127: the range that compressed-tensors gives dynamic activations, so that figures agree. NaN is passed over for the scale and gets
/// code -128.
/// sums[row], when not NULL, is the sum of the row's codes per group of group_size columns: [rows, ceil(k / group_size)].
void dso_quantize_rows_s8(const float *x, int64_t ldx, int64_t rows, int64_t k, int8_t *q, int64_t ldq, float *scales,
                          int64_t group_size, int32_t *sums);
/// int8 activations times quantized weights (any bits): exact 32-bit integer sums within a group, scaled and added in float, then times the
/// row's scale. The order of these few float operations is fixed: every instruction set gives the same bits.
/// Codes are evenly spaced: w->levels and w->minima must be NULL, for they are no integers.
/// sums as dso_quantize_rows_s8 writes them for w->group_size, or NULL; the variants here find them while packing.
/// Groups longer than 65536 are cut internally, so that sums cannot overflow. Groups longer than 4096 that are not the whole row, and rows
/// longer than 65536, are right but slow.
void dso_matmul_s8(const int8_t *a, int64_t lda, const float *a_scales, const int32_t *sums, int64_t m, const dso_weights *w,
                   int64_t n_begin, int64_t n_end, const float *bias, float *c, int64_t ldc, void *scratch);

// MARK: - Attention

/// Causal attention of one head of one sequence, online softmax, no score matrix.
/// q: [q_tokens, head_dim], k: [kv_tokens, head_dim], v: [kv_tokens, v_dim], out: [q_tokens, v_dim], each with its ld.
/// Query t stands at position q_offset + t and sees keys j <= q_offset + t, and, when window > 0, j > q_offset + t - window.
/// A query that sees no key gets zeros. The bits of a query do not depend on the other queries of the call, except that calls of one to
/// three queries (decode) add in another order than longer ones.
/// scratch: dso_attention_scratch_bytes(head_dim, v_dim), 64-byte aligned. Fastest when both are multiples of 32.
void dso_attention(const float *q, int64_t ldq, const float *k, int64_t ldk, const float *v, int64_t ldv, float *out, int64_t ldo,
                   int64_t q_tokens, int64_t kv_tokens, int64_t q_offset, int64_t head_dim, int64_t v_dim, float scale,
                   int64_t window, void *scratch);
int64_t dso_attention_scratch_bytes(int64_t head_dim, int64_t v_dim);

// MARK: - Rows and elements

/// y = x / sqrt(mean(x^2) + epsilon) * gain, per row of `width`; sums in double or compensated to float accuracy. In place allowed.
void dso_rms_norm(const float *x, int64_t ldx, const float *gain, float *y, int64_t ldy, int64_t rows, int64_t width, float epsilon);
/// y = (x - mean) / sqrt(var + epsilon) * gain + bias (bias may be NULL). In place allowed.
void dso_layer_norm(const float *x, int64_t ldx, const float *gain, const float *bias, float *y, int64_t ldy, int64_t rows,
                    int64_t width, float epsilon);
/// Rotates, in place, the first rotary_dim elements of each of `heads` heads (head_dim apart) in each row:
/// half-split pairs (i, i + rotary_dim/2), or neighbours (2i, 2i+1) when interleaved.
/// cosines and sines: [rows, rotary_dim/2] with the given ld, one row per token.
void dso_rotary(float *x, int64_t ldx, int64_t rows, int64_t heads, int64_t head_dim, int64_t rotary_dim, int interleaved,
                const float *cosines, const float *sines, int64_t ld_table);

typedef enum {
  DSO_ACTIVATION_SILU = 0,
  DSO_ACTIVATION_GELU_TANH = 1,
  DSO_ACTIVATION_GELU_ERF = 2,
  DSO_ACTIVATION_RELU = 3,
  DSO_ACTIVATION_RELU_SQUARED = 4,  ///< max(x, 0)^2 (So et al., Primer, 2109.08668)
} dso_activation;
/// y = activation(gate) * up; up may be NULL for the plain activation. In place allowed. Within some 3 units in the last place, except
/// where GELU (tanh) is below 1e-8 in magnitude: there the rounding of its float exponent shows.
void dso_gated_activation(dso_activation kind, const float *gate, const float *up, float *y, int64_t count);
/// y += x
void dso_add(const float *x, float *y, int64_t count);

// MARK: - Distributions (one row of logits at a time; sums in double)

typedef struct { double log_sum_exp; int64_t argmax; float max; } dso_row_summary;
/// log sum exp, the first largest element and its index (not-a-numbers are passed over for the largest, and make the sum one).
dso_row_summary dso_summarize_logits(const float *row, int64_t count);
/// KL(reference || other) in nats, from rows of logits and their log_sum_exp. Never below 0 by more than rounding; exactly 0 for equal
/// rows. Tokens of probability 0 in the reference add nothing.
double dso_kl_divergence(const float *reference, double reference_lse, const float *other, double other_lse, int64_t count);
/// Sum of squares, and sum of squared differences, in double.
double dso_sum_squares(const float *x, int64_t count);
double dso_sum_squared_differences(const float *x, const float *y, int64_t count);

// MARK: - Conversions

void dso_convert_bf16_to_f32(const void *from, float *to, int64_t count);
void dso_convert_f16_to_f32(const void *from, float *to, int64_t count);
void dso_convert_f64_to_f32(const void *from, float *to, int64_t count);
/// Ties to even; NaN stays NaN (quiet), overflow becomes infinity.
void dso_convert_f32_to_bf16(const float *from, uint16_t *to, int64_t count);
void dso_convert_f32_to_f16(const float *from, uint16_t *to, int64_t count);

// MARK: - Quantizing

/// Codes of `bits` (2..8) bits, stored in the low bits of bytes, to and from a little-endian bit stream of ceil(count*bits/32) words.
/// Unused high bits of the last word are written as zero.
void dso_pack_codes(const uint8_t *codes, int64_t count, int bits, uint32_t *words);
void dso_unpack_codes(const uint32_t *words, int64_t count, int bits, uint8_t *codes);

/// to = from with the highest bit of every byte exchanged: signed codes of 8 bits from stored ones, and back.
void dso_exchange_signs(const void *from, void *to, int64_t count);

/// Rows row_begin..<row_end of a quantized matrix as floats.
void dso_dequantize(const dso_weights *w, int64_t row_begin, int64_t row_end, float *out, int64_t ldo);

/// Of one row: *signal = the sum of squares of `dense` (a float storage), *noise = that of its differences from `quantized`, of the same shape.
void dso_weight_error(const dso_weights *dense, const dso_weights *quantized, int64_t row, double *signal, double *noise);

/// Smallest and largest element; NaN is ignored and counted in *nonfinite together with infinities (which do count as extremes).
/// Without any number: +infinity and -infinity.
void dso_min_max(const float *x, int64_t count, float *minimum, float *maximum, int64_t *nonfinite);

/// One group to codes with a given scale and zero point: code = clamp(round(x / scale) + zero_point, -2^(bits-1), 2^(bits-1)-1), stored
/// plus 2^(bits-1).
/// scale 0 gives code = zero_point. The division is exact (not a multiplication by the reciprocal).
/// Returns how many codes were clamped by more than rounding (the unclamped value lay more than half a step outside). NaN gets the lowest
/// code and counts as clamped.
int64_t dso_quantize_group(const float *x, int64_t count, float scale, int zero_point, int bits, uint8_t *codes);

#ifdef __cplusplus
}
#endif

#include "Gradients.h"
#include "TrainingProducts.h"
#include "WideActivations.h"

#endif
