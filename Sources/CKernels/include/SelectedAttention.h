/// Attention that looks at some blocks of keys only: which ones, from the mean of a block's keys, and the softmax over what is in them.
///
/// Block b of a sequence is its keys b * block to (b + 1) * block - 1. A query at position p sees its own block, p / block, up to itself; of the
/// whole blocks before it those with the largest product of the query and the block's mean key, `count` blocks in all (MoBA, 2502.13189). Of
/// equal products the later block is taken; a product that is no number counts as the least.
#ifndef DSO_SELECTED_ATTENTION_H
#define DSO_SELECTED_ATTENTION_H

#include "QuantizedCache.h"

#ifdef __cplusplus
extern "C" {
#endif

/// Means of whole blocks of keys: pooled[b] is that of rows b * block to (b + 1) * block - 1, summed in double.
void dso_pool_keys(const float *k, int64_t ldk, int64_t blocks, int64_t block, int64_t head_dim, float *pooled, int64_t ld_pooled);
/// The same of what a quantized cache holds.
void dso_pool_keys_s8(const dso_quantized_head *k, int64_t blocks, int64_t block, int64_t head_dim, float *pooled, int64_t ld_pooled);

/// The blocks that queries at positions q_offset... see: chosen[t * count...], rising, and -1 behind the last where there are fewer.
/// scratch: dso_select_blocks_scratch_bytes(q_offset + q_tokens, block).
void dso_select_blocks(const float *q, int64_t ldq, const float *pooled, int64_t ld_pooled, int64_t q_tokens, int64_t q_offset,
                       int64_t head_dim, int64_t block, int64_t count, int32_t *chosen, void *scratch);
int64_t dso_select_blocks_scratch_bytes(int64_t positions, int64_t block);
/// From products of the blocks before `own` to the ones that are seen; `products` is changed, and has room for `own` more behind them.
void dso_choose_blocks(float *products, int64_t own, int64_t count, int32_t *chosen);

/// One head of one sequence over chosen blocks. A query's bits depend on nothing but what it sees, however many there are.
/// scratch: dso_attention_scratch_bytes(head_dim, v_dim), 64-byte aligned.
void dso_attention_selected(const float *q, int64_t ldq, const float *k, int64_t ldk, const float *v, int64_t ldv, float *out, int64_t ldo,
                            int64_t q_tokens, int64_t kv_tokens, int64_t q_offset, int64_t head_dim, int64_t v_dim, float scale,
                            int64_t block, int64_t count, const int32_t *chosen, void *scratch);
/// The same over a quantized cache.
void dso_attention_selected_s8(const float *q, int64_t ldq, const dso_quantized_head *k, const dso_quantized_head *v, float *out,
                               int64_t ldo, int64_t q_tokens, int64_t kv_tokens, int64_t q_offset, int64_t head_dim, int64_t v_dim,
                               float scale, int64_t block, int64_t count, const int32_t *chosen, void *scratch);

#ifdef __cplusplus
}
#endif
#endif
