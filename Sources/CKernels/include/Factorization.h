/// Gram matrices, their triangular factors, and rounding with error feedback (GPTQ, Frantar et al. 2022; LDLQ, Chee et al. 2023).
#ifndef DSO_FACTORIZATION_H
#define DSO_FACTORIZATION_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// MARK: - Products summed over rows

/// C[i, j] += sum over t of x(t, i) * weights[t] * y(t, j), t in 0..<depth: a Gram matrix when x and y are the same activations.
/// Blocks of 256 t are summed in float in rising order, then added to C.
typedef struct {
  const float *x;
  int64_t ldx;
  /// 0: x(t, i) = x[t * ldx + i]. Otherwise x(t, i) = x[i * ldx + t], and weights must be NULL.
  int x_by_rows;
  const float *y;         ///< y(t, j) = y[t * ldy + j]
  int64_t ldy;
  int64_t depth;
  const float *weights;   ///< [depth], NULL for 1
  float *c;               ///< element (0, 0)
  int64_t ldc;
  int lower;              ///< whether only elements with j <= i are written
} dso_outer_product;

/// The part i_begin..<i_end, j_begin..<j_end. Fastest cut at multiples of dso_outer_tile_rows() and dso_outer_tile_columns().
/// scratch: dso_outer_scratch_bytes(), 64-byte aligned, one per thread.
void dso_accumulate_outer(const dso_outer_product *p, int64_t i_begin, int64_t i_end, int64_t j_begin, int64_t j_end, void *scratch);
int64_t dso_outer_scratch_bytes(void);
int64_t dso_outer_tile_rows(void);
int64_t dso_outer_tile_columns(void);

// MARK: - Factors H = M^T D M, M unit lower triangular, D diagonal, from the last row to the first

/// Most rows of a block that is factored at once.
enum { DSO_FACTOR_ROWS = 256 };

/// Factors the n x n block a in place (n <= DSO_FACTOR_ROWS; lower triangle in; strictly lower part of M out; what lies above the
/// diagonal stays, the diagonal becomes D) in double. transposed: [n, n], M^T, its strictly upper part. pivots: [n], D.
/// scratch: 8 * n * n bytes. Returns -1, or the first row (from the end) whose pivot is not a positive finite number; a is then as it was.
int64_t dso_factor_block(float *a, int64_t lda, int64_t n, float *transposed, float *pivots, double *scratch);

/// Columns j_begin..<j_end of the rows that belong to a factored block: from those of H to those of M, in place.
/// b: [rows, ...], rows <= DSO_FACTOR_ROWS; transposed, pivots: as dso_factor_block wrote them, transposed with rows `rows` apart.
void dso_solve_panel(float *b, int64_t ldb, int64_t rows, const float *transposed, const float *pivots, int64_t j_begin, int64_t j_end);

/// Rows x, in place from y: x M = y when from_last, x M^T = y otherwise, M [count, count] unit lower triangular (its strictly lower part is
/// read). In double.
void dso_solve_unit_rows(float *x, int64_t ldx, int64_t rows, const float *m, int64_t ldm, int64_t count, int from_last);

// MARK: - Rounding with feedback

/// A block of columns in processing order, column-major: element (column p, row r) lies at p * ld + r.
typedef struct {
  int64_t rows;               ///< a multiple of 16, at most ld
  int64_t columns;            ///< at most DSO_FEEDBACK_COLUMNS
  int64_t ld;
  float *weights;             ///< in: w; out: the errors w - q
  const float *feedback;      ///< what the columns before the block add to its targets
  const float *m;             ///< [columns, columns], strictly lower triangle; NULL for none: every weight is rounded by itself
  int64_t ldm;
  const int32_t *groups;      ///< [columns]: the group of each
  const float *scales;        ///< [groups, ld], none 0, may be negative
  const float *zero_points;   ///< [groups, ld], whole numbers
  int64_t ldg;                ///< of scales and zero_points
  int32_t bits;               ///< 2..8
  const float *pivots;        ///< [columns], D
  const float *damping;       ///< [columns], what was added to the diagonal
  uint8_t *codes;             ///< [columns, ld], stored plus 2^(bits-1), as dso_quantize_group
  double *losses;             ///< [rows]: D * (target - q)^2 - damping * (w - q)^2 is added, over the block's columns
  const float *levels;        ///< [16], ascending: q is one of them times the scale, its code their index, of 4 bits without zero points; NULL for
                              ///< whole numbers
} dso_feedback_step;

enum { DSO_FEEDBACK_COLUMNS = 128 };

/// In turn for each column p: target = w + feedback + sum over s < p of m[p, s] * (w - q) of s; q = the target rounded to the grid.
/// Returns how many codes were clamped by more than rounding.
int64_t dso_round_with_feedback(const dso_feedback_step *step);

/// A tile of a weight whose rows, too, give feedback to each other: columns and rows in processing order, column-major: element
/// (column p, row r) lies at p * ld + r unless said otherwise.
typedef struct {
  int64_t rows;               ///< at most DSO_FEEDBACK_COLUMNS
  int64_t columns;            ///< at most DSO_FEEDBACK_COLUMNS
  int64_t ld;
  float *weights;             ///< in: w; out: the errors w - q
  float *sums;                ///< in: what the columns before the tile add to its targets; out: that of all columns up to the own, error included
  const float *row_feedback;  ///< what the rows before the tile add: element (p, r) at p * ld_row_feedback + r
  int64_t ld_row_feedback;
  const float *m;             ///< [columns, columns] of the columns, strictly lower triangle
  int64_t ldm;
  const float *row_m;         ///< [rows, rows] of the rows, transposed: its strictly upper triangle
  int64_t ld_row_m;
  const int32_t *groups;      ///< [columns]: the group of each
  const float *scales;        ///< [groups, ldg], none 0, may be negative
  const float *zero_points;   ///< [groups, ldg], whole numbers
  int64_t ldg;
  int32_t bits;               ///< 2..8
  const float *pivots;        ///< [columns], D
  const float *row_pivots;    ///< [rows], D of the rows
  uint8_t *codes;             ///< [columns, ld], stored plus 2^(bits-1)
  double *losses;             ///< [rows]: row_pivot * pivot * (target - q)^2 is added, over the tile's columns
  const float *levels;        ///< as in dso_feedback_step
} dso_two_sided_step;

/// As dso_round_with_feedback, for G and H at once: target = w + the errors that G and H spread to it from every earlier row and column.
/// Minimises tr(G (W - Q) H (W - Q)^T) greedily. Returns how many codes were clamped by more than rounding.
int64_t dso_round_two_sided(const dso_two_sided_step *step);

// MARK: - Coordinate descent

/// A tile of a rounded weight whose codes are changed one at a time: columns and rows in processing order, column-major. E = W - Q.
typedef struct {
  int64_t rows;               ///< at most DSO_FEEDBACK_COLUMNS; those up to the next multiple of 16 must be there, whatever they hold
  int64_t columns;            ///< at most DSO_FEEDBACK_COLUMNS
  float *products;            ///< in: G E H of the tile, element (p, r) at p * ld_products + r; overwritten
  int64_t ld_products;
  const float *h;             ///< [columns, columns], both triangles
  int64_t ldh;
  const float *g;             ///< [rows, rows], both triangles; NULL when rows do not matter to each other (G = identity)
  int64_t ldg;
  const int32_t *groups;      ///< [columns]: the group of each
  const float *scales;        ///< [groups, ld_scales], none 0, may be negative
  int64_t ld_scales;
  int32_t bits;               ///< 2..8
  uint8_t *codes;             ///< [columns, ld], stored plus 2^(bits-1): in and out
  float *changes;             ///< [columns, ld]: what was added to E, 0 where nothing was
  int64_t ld;                 ///< of codes and changes
  double *gains;              ///< [rows]: by how much tr(G E H E^T) fell is added
} dso_descent_step;

/// In turn for each column and row: moves the code to the one that minimises tr(G E H E^T) while all others stay, if it is not there yet.
/// A move must gain more than what rounding could feign: at least DSO_DESCENT_LIMIT steps off. Returns how many codes were moved.
int64_t dso_descend_tile(const dso_descent_step *step);

/// How far, in steps of the grid, the best place must lie from a code before the code is moved.
#define DSO_DESCENT_LIMIT 0.501f

// MARK: - Moving elements (portable)

/// to[i] = row[order[i]].
void dso_gather(const float *row, const int32_t *order, int64_t count, float *to);
/// to[p * ld + r] = x[r * ldx + order[p]] for r below rows, p below count.
void dso_gather_columns(const float *x, int64_t ldx, int64_t rows, const int32_t *order, int64_t count, float *to, int64_t ld);
/// to[r * ldt + order[p]] = codes[p * ld + r] for r below rows, p below count.
void dso_scatter_codes(const uint8_t *codes, int64_t ld, int64_t rows, const int32_t *order, int64_t count, uint8_t *to, int64_t ldt);
/// to[p * ld + r] = codes[r * ldx + order[p]] for r below rows, p below count.
void dso_gather_codes(const uint8_t *codes, int64_t ldx, int64_t rows, const int32_t *order, int64_t count, uint8_t *to, int64_t ld);
/// w[i] -= (codes[i] - 2^(bits-1) - zero_point) * scale.
void dso_subtract_codes(float *w, const uint8_t *codes, int64_t count, float scale, int zero_point, int bits);
/// row[i] -= values[i / group_size] for i below k.
void dso_subtract_group_values(float *row, const float *values, int64_t k, int64_t group_size);
/// Grids [rows, groups] to [groups, ld] as dso_feedback_step takes them; rows up to ld get scale 1. A scale of 0 becomes one so large that
/// every code is the zero point. zero_points may be NULL for zeros.
void dso_transpose_grids(const float *scales, const int8_t *zero_points, int64_t rows, int64_t groups, float *to_scales,
                         float *to_zero_points, int64_t ld);
/// Makes rows row_begin..<row_end of the strictly upper (or, from_upper, the strictly lower) triangle of a square matrix equal the other
/// one's columns.
void dso_mirror(float *a, int64_t lda, int64_t n, int64_t row_begin, int64_t row_end, int from_upper);
/// Transposes a square matrix in place: the part that exchanges rows row_begin..<row_end from the diagonal on with the same columns.
void dso_transpose_square(float *a, int64_t lda, int64_t n, int64_t row_begin, int64_t row_end);
/// x[i] *= factors[i] * factor.
void dso_scale_elements(float *x, const float *factors, float factor, int64_t count);
/// sums[i] += x[i] * y[i], in double.
void dso_add_products(const float *x, const float *y, double *sums, int64_t count);

#ifdef __cplusplus
}
#endif
#endif
