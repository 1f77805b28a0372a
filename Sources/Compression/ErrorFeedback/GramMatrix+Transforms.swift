import CKernels
import Diagnostics
import Execution

extension GramMatrix {
  /// The matrix of inputs divided by `divisors`: `H[i, j] / (s[i] · s[j])`, as when a smoothing step moves `s` into the weight.
  ///
  /// - Throws: another number of divisors than inputs, or one that is 0 or not finite.
  package func divide(by divisors: [Float], pool: ThreadPool) throws(CompressionError) {
    let factors = divisors.map { 1 / $0 }
    guard divisors.count == inputs, divisors.allSatisfy(\.isFinite), factors.allSatisfy(\.isFinite) else {
      throw CompressionError(
        "Gram matrix", "of \(inputs) inputs cannot be divided by these \(divisors.count) factors",
        remedy: "every input needs one that is finite and not 0", kind: .badData)
    }
    let n = inputs
    let values = symmetric(pool: pool)
    factors.withUnsafeBufferPointer { factors in
      nonisolated(unsafe) let factors = factors
      pool.ranges(of: n, grain: 16) { rows in
        for row in rows { dso_scale_elements(values.row(row), factors.baseAddress, factors[row], Int64(n)) }
      }
    }
  }

  /// The Gram matrix of the inputs `x · T`: `Tᵀ H T`, tokens kept. Needs two more matrices of its size while it works.
  ///
  /// - Parameter matrix: T, `[inputs, outputs]`.
  /// - Throws: a matrix of another height.
  package func transformed(by matrix: Matrix, pool: ThreadPool) throws(CompressionError) -> GramMatrix {
    guard matrix.rows == inputs else {
      throw CompressionError("Gram matrix", "of \(inputs) inputs cannot be transformed by \(matrix.rows) rows", kind: .usage)
    }
    let (from, to) = (inputs, matrix.columns)
    let values = symmetric(pool: pool)
    let half = Matrix(rows: from, columns: to)
    OuterProducts.accumulate(
      dso_outer_product(x: values.pointer, from, y: matrix.pointer, to, depth: from, into: half.pointer, to),
      rows: from, columns: to, pool: pool)
    let result = Matrix(rows: to, columns: to)
    OuterProducts.accumulate(
      dso_outer_product(x: matrix.pointer, to, y: half.pointer, to, depth: from, into: result.pointer, to, lower: true),
      rows: to, columns: to, pool: pool)
    return GramMatrix(lower: result, tokens: tokens, totalWeight: totalWeight)
  }

  /// `Σ xᵀy` of two batches that belong to the same tokens, added to `sum` `[x.columns, y.columns]`.
  ///
  /// - Throws: extents that do not fit.
  package static func accumulateCross(
    _ x: Matrix, _ y: Matrix, into sum: Matrix, pool: ThreadPool
  ) throws(CompressionError) {
    guard x.rows == y.rows, sum.rows == x.columns, sum.columns == y.columns else {
      throw CompressionError(
        "cross Gram matrix", "of \(sum.rows) by \(sum.columns) does not fit \(x.rows) by \(x.columns) and \(y.rows) by \(y.columns)",
        kind: .usage)
    }
    OuterProducts.accumulate(
      dso_outer_product(x: x.pointer, x.columns, y: y.pointer, y.columns, depth: x.rows, into: sum.pointer, sum.columns),
      rows: sum.rows, columns: sum.columns, pool: pool)
  }
}
