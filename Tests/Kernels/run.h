/// What only the program itself needs.
#ifndef DSO_RUN_H
#define DSO_RUN_H

#include "check.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED  // which finds what is touched by itself
#endif
#endif

void start_numbers(uint64_t seed);
/// Frees what the case took, and complains when it was written before its beginning.
void give_back(void);

/// Kept results, from the first on: the portable run writes them, the others compare with them.
void start_results(const char *kernel, dso_isa set);
/// The digest of what the portable run handed to `same`, for other machines to compare; NULL when it handed nothing.
const char *digest_of_results(void);
void forget_results(void);
/// Comparisons so far, and how many did not hold.
extern int64_t compared, differing;
/// Where a run is, for a signal handler.
const char *place_of_run(void);

#endif
