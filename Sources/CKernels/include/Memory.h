#ifndef DSO_MEMORY_H
#define DSO_MEMORY_H

#ifdef __cplusplus
extern "C" {
#endif

/// Gives memory that was freed back to the system, where the C library keeps it for later: for where large pieces of many sizes follow each
/// other and the peak would grow with their number.
void dso_give_back_memory(void);

#ifdef __cplusplus
}
#endif
#endif
