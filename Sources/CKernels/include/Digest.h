/// SHA-256 (FIPS 180-4), for the identity of inputs and outputs in reports.
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
/// The digest; the state must be started anew afterwards.
void dso_sha256_finish(dso_sha256 *digest, uint8_t out[32]);

#ifdef __cplusplus
}
#endif
#endif
