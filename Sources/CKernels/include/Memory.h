#ifndef DSO_MEMORY_H
#define DSO_MEMORY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Gives memory that was freed back to the system, where the C library or dso_unmap_pages keeps it for later: for where large pieces of many
/// sizes follow each other and the peak would grow with their number.
void dso_give_back_memory(void);

/// Memory of at least `bytes` of its own pages, of large ones where the system has them: they cost a fraction of the faults, and a walk through
/// them misses fewer translations. What dso_unmap_pages got waits for the next who asks, up to some 128 MB in all; *zeroed says whether the memory
/// is known to be zeros. *size is what dso_unmap_pages must be given. NULL when there is none.
void *dso_map_pages(int64_t bytes, int64_t *size, int *zeroed);
void dso_unmap_pages(void *pages, int64_t size);

#ifdef __cplusplus
}
#endif
#endif
