/// The register tile of each instruction set: rows of activations by vectors of weights.
#ifndef DSO_SIZES_H
#define DSO_SIZES_H

#if LANES == 16  // AVX-512: 28 of 32 registers accumulate
#define TILE_ROWS 14
#define TILE_CASES CASES_TO_14
enum { TILE_VECTORS = 2 };
#elif LANES == 8  // AVX2: 12 of 16
#define TILE_ROWS 6
#define TILE_CASES CASES_TO_6
enum { TILE_VECTORS = 2 };
#else  // NEON: 24 of 32
#define TILE_ROWS 8
#define TILE_CASES CASES_TO_8
enum { TILE_VECTORS = 3 };
#endif

#endif
