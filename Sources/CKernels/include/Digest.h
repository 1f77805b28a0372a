/// Digests: SHA-256 (FIPS 180-4), for the identity of inputs and outputs in reports; and a fast fingerprint, for what is written and read again.
#ifndef DSO_DIGEST_H
#define DSO_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
  uint32_t state[8];
  uint64_t length;      ///< bytes taken in so far
  uint8_t block[64];    ///< the unfinished block
} dso_sha256;

void dso_sha256_start(dso_sha256 *digest);
void dso_sha256_update(dso_sha256 *digest, const void *bytes, size_t count);
/// Takes `count` bytes into each of two digests, side by side: the rounds of one wait for each other, those of two do not, so that both take
/// little longer than one.
void dso_sha256_update_two(dso_sha256 *first, const void *first_bytes, dso_sha256 *second, const void *second_bytes, size_t count);
/// The digest; the state must be started anew afterwards.
void dso_sha256_finish(dso_sha256 *digest, uint8_t out[32]);

/// 128 bits that change, as good as certainly, when any of the bytes does: for damage, not for malice. At the speed of memory.
/// Every byte is taken exclusive-or `mask`: signed codes have the fingerprint of the same codes stored plus 128 when it is 0x80.
void dso_fingerprint(const void *bytes, int64_t count, uint8_t mask, uint64_t out[2]);

#ifdef __cplusplus
}
#endif
#endif
