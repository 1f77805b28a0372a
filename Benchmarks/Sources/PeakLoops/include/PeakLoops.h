/// Loops over registers: what the arithmetic units reach when nothing waits for memory. And one over memory: what it gives to a reader.
#ifndef PEAK_LOOPS_H
#define PEAK_LOOPS_H

#include <stdint.h>

/// Which instructions to use; the caller has made sure that the processor has them.
typedef enum { PEAK_PORTABLE = 0, PEAK_AVX2 = 1, PEAK_AVX512 = 2, PEAK_NEON = 3 } peak_set;

/// Fused multiply-adds in float. Returns the number of floating point operations done; 0 when this build has no such loop.
int64_t peak_float(peak_set set, int64_t rounds);
/// Products of bfloat16 added in float; where kernels use no instruction for these, the same as peak_float.
int64_t peak_bfloat(peak_set set, int64_t rounds);
/// Products of 8-bit integers added in 32 bits. The same.
int64_t peak_codes(peak_set set, int64_t rounds);

/// Reads memory from its beginning to its end. bytes is a multiple of 512.
void read_stream(peak_set set, const void *memory, int64_t bytes);

#endif
