import CKernels
import Execution

/// Factors a positive definite matrix as `H = Mᵀ D M`, M unit lower triangular: Cholesky from the last row to the first, which is the
/// factor that feedback in the order of the rows needs.
struct TriangularFactor {
  /// Rows that are factored at once: deep enough for the products, shallow enough for the part that one thread does in double.
  static let blockRows = 128

  let matrix: Matrix
  let pool: ThreadPool

  /// Factors in place. Reads and writes the lower triangle and the diagonal only: what lies above stays as it is.
  ///
  /// - Returns: D; nil when the matrix is not positive definite to float32's accuracy. The lower triangle is then in disorder.
  func factor() -> [Float]? {
    let n = matrix.columns
    var pivots = [Float](repeating: 0, count: n)
    var transposed = [Float](repeating: 0, count: Self.blockRows * Self.blockRows)
    var scratch = [Double](repeating: 0, count: Self.blockRows * Self.blockRows)
    var negated = [Float](repeating: 0, count: Self.blockRows)
    for begin in stride(from: 0, to: n, by: Self.blockRows).reversed() {
      let count = min(Self.blockRows, n - begin)
      let panel = matrix.row(begin)
      let bad = pivots.withUnsafeMutableBufferPointer { pivots in
        dso_factor_block(
          panel + begin, Int64(n), Int64(count), &transposed, pivots.baseAddress.map { $0 + begin }, &scratch)
      }
      guard bad < 0 else { return nil }
      for row in 0..<count { negated[row] = -pivots[begin + row] }
      solve(panel, columns: begin, rows: count, transposed: transposed, pivots: Array(pivots[begin..<begin + count]))
      negated.withUnsafeBufferPointer { weights in
        OuterProducts.accumulate(
          dso_outer_product(
            x: panel, n, y: panel, n, depth: count, weights: weights.baseAddress, into: matrix.pointer, n, lower: true),
          rows: begin, columns: begin, pool: pool)
      }
    }
    return pivots
  }

  private func solve(_ panel: UnsafeMutablePointer<Float>, columns: Int, rows: Int, transposed: [Float], pivots: [Float]) {
    let n = matrix.columns
    let width = 256
    nonisolated(unsafe) let panel = panel
    pool.run((columns + width - 1) / width) { task, _ in
      dso_solve_panel(
        panel, Int64(n), Int64(rows), transposed, pivots, Int64(task * width), Int64(min(columns, (task + 1) * width)))
    }
  }
}
