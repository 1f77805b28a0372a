/// How products of few rows of 16-bit activations read stored codes, for the variant whose vectors are included before this file.
#ifndef DSO_READINGS_S16_H
#define DSO_READINGS_S16_H

#include "../quantization/unpack.h"

/// How a step is read: bytes; two codes to a byte, the even and the odd ones apart; any other width.
typedef enum { READ_CODE_BYTES, READ_NIBBLES, READ_BITS, READ_ODD } wide_reading;

#if LANES == 16
enum { STEP_CODES = 64 };
typedef unpack_64_plan wide_bits;
INLINE wide_bits plan_bits(int bits) { return plan_unpacking_64(bits); }
#else
enum { STEP_CODES = 16 };
typedef unpack_plan wide_bits;
INLINE wide_bits plan_bits(int bits) { return plan_unpacking(bits); }
#endif

INLINE int64_t step_bytes(wide_reading kind, int bits) { return kind == READ_BITS ? STEP_CODES / 8 * bits : STEP_CODES; }

#endif
