// The inner loop of SHA-256, portable and with the x86 SHA instructions: same result, found by the processor at run time.
#include <stddef.h>
#include <stdint.h>

extern const uint32_t dso_sha256_constants[64];
void dso_sha256_blocks_portable(uint32_t state[8], const uint8_t *bytes, size_t blocks);
#if defined(__x86_64__)
int dso_sha256_has_x86(void);
void dso_sha256_blocks_x86(uint32_t state[8], const uint8_t *bytes, size_t blocks);
/// The same for two digests at once.
void dso_sha256_two_x86(uint32_t first[8], const uint8_t *first_bytes, uint32_t second[8], const uint8_t *second_bytes, size_t blocks);
#endif
