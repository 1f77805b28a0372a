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
