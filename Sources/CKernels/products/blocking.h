/// Sizes of the blocks that the products cut their work into, and the scratch that holds them.
///
/// A block of K is cut by K (and the group size) alone and its products are added in the order of K, whatever the rows and columns of
/// a call: so the rule of determinism in CKernels.h holds by construction.
#ifndef DSO_BLOCKING_H
#define DSO_BLOCKING_H

#include "../include/CKernels.h"

enum {
  /// Portable products decode this many weights of a row at a time.
  DSO_PORTABLE_CHUNK = 1024,
  /// Longest run of 8-bit products whose sum is certain to fit 32 bits: 65536 * 255 * 128 < 2^31.
  DSO_EXACT_RUN = 65536,
  /// The same of 16-bit activations: 512 * 128 * 32639 < 2^31, and with zero points, which take a code as far as 255 away,
  /// 256 * 255 * 32639 < 2^31.
  DSO_WIDE_RUN = 512,
  DSO_WIDE_RUN_ASYMMETRIC = 256,

  /// A block of K in units of 32 bits (one float, two bfloat16, four codes): a panel of weights of this depth streams from the second cache,
  /// at a fraction of what that gives; shallower ones visit the result more often.
  DSO_BLOCK_UNITS = 512,
  /// Longest quantization group that a block takes whole.
  DSO_LONGEST_GROUP = 4096,
  /// Most groups in one block.
  DSO_BLOCK_GROUPS = 32,

  /// Packed weights, packed activations and decoded rows of weights, in bytes.
  DSO_WEIGHTS_BYTES = 512 << 10,
  DSO_ACTIVATIONS_BYTES = 512 << 10,
  DSO_DECODED_BYTES = 96 << 10,
  /// Most columns that are packed at once, and most rows.
  DSO_COLUMNS = 1024,
  DSO_ROWS = 1024,
  /// Vectors are stored whole, so every area ends in some room.
  DSO_SLACK_BYTES = 256,
};

/// The scratch of a product, in areas. All are at the same place for every storage.
typedef struct {
  float *weights;
  float *activations;
  uint8_t *decoded;
  float *scales;      ///< [DSO_BLOCK_GROUPS, columns]
  int32_t *offsets;   ///< [DSO_BLOCK_GROUPS, columns]
  int32_t *sums;      ///< [DSO_BLOCK_GROUPS, rows]
  float *bias;        ///< [columns]
} dso_product_scratch;

enum {
  DSO_SCALES_BYTES = DSO_BLOCK_GROUPS * DSO_COLUMNS * 4,
  DSO_SUMS_BYTES = DSO_BLOCK_GROUPS * DSO_ROWS * 4,
  DSO_BIAS_BYTES = DSO_COLUMNS * 4,
  DSO_PRODUCT_BYTES = DSO_WEIGHTS_BYTES + DSO_ACTIVATIONS_BYTES + DSO_DECODED_BYTES + 2 * DSO_SCALES_BYTES + DSO_SUMS_BYTES +
                      DSO_BIAS_BYTES + 7 * DSO_SLACK_BYTES,
};

/// The longest chunk of products of 16-bit activations.
static inline int64_t dso_wide_run(const dso_weights *w) { return w->zero_points ? DSO_WIDE_RUN_ASYMMETRIC : DSO_WIDE_RUN; }

static inline void *dso_take(uint8_t **at, int64_t bytes) {
  uint8_t *area = *at;
  *at += bytes + DSO_SLACK_BYTES;
  return area;
}

static inline dso_product_scratch dso_cut_product_scratch(void *scratch) {
  uint8_t *at = scratch;
  dso_product_scratch s;
  s.weights = dso_take(&at, DSO_WEIGHTS_BYTES);
  s.activations = dso_take(&at, DSO_ACTIVATIONS_BYTES);
  s.decoded = dso_take(&at, DSO_DECODED_BYTES);
  s.scales = dso_take(&at, DSO_SCALES_BYTES);
  s.offsets = dso_take(&at, DSO_SCALES_BYTES);
  s.sums = dso_take(&at, DSO_SUMS_BYTES);
  s.bias = dso_take(&at, DSO_BIAS_BYTES);
  return s;
}

#endif
