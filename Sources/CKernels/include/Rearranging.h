/// Moving codes between rows, as products read them, and columns, as GPTQ's and AWQ's checkpoints keep them. Nothing is computed.
#ifndef DSO_REARRANGING_H
#define DSO_REARRANGING_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// to[c, r] = from[r, c], elements of 1, 2 or 4 bytes as plain bits; both dense, at any alignment.
void dso_transpose(const void *from, int64_t rows, int64_t columns, int width, void *to);

/// Rows of four-bit codes, [n, k / 8] words with code i in nibble i, to AWQ's words [k, n / 8], whose nibbles 0...7 are the codes of the rows
/// 0, 2, 4, 6, 1, 3, 5, 7 of eight. n and k are multiples of 8; any alignment.
void dso_rows_to_awq(const void *rows, int64_t n, int64_t k, void *words);
/// The reverse.
void dso_awq_to_rows(const void *words, int64_t n, int64_t k, void *rows);

#ifdef __cplusplus
}
#endif
#endif
