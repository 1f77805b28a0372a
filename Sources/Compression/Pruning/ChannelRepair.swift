import CKernels
import Diagnostics
import Execution
import ModelGraph
import Tensors

/// The weight that makes up best for inputs that are gone: with the Gram matrix C of the inputs and the kept ones S, the least squared error of the
/// layer's outputs is at `W · C[:, S] · (C[S, S] + λ)⁻¹` (closed-form, as in FASP, 2025).
enum ChannelRepair {
  /// λ, as a share of the mean of the diagonal; ten times as much whenever the matrix is not positive definite.
  static let damping: Float = 1e-3

  /// What repairing a layer came to.
  struct Outcome {
    /// `[outputs, kept inputs]`.
    let weight: Matrix
    /// The squared error of the outputs over their square, before and after.
    let errorBefore: Double
    let errorAfter: Double

    /// The same for inputs that come that much smaller than they were seen.
    func scaled(by factor: Float) -> Outcome {
      let ones = [Float](repeating: 1, count: weight.columns)
      for row in 0..<weight.rows { dso_scale_elements(weight.row(row), ones, factor, Int64(weight.columns)) }
      return self
    }
  }

  /// - Parameters:
  ///   - weight: W `[outputs, inputs]`.
  ///   - gram: C of the inputs.
  ///   - kept: the inputs that stay, rising.
  /// - Returns: nil where no damping up to 1 makes the matrix positive definite.
  static func repair(_ weight: Matrix, gram: Matrix, keeping kept: [Int], pool: ThreadPool) throws -> Outcome? {
    try Interruption.check()
    let columns = gathered(gram, columns: kept, pool: pool)
    // Products with every input, of all the weight and of what plainly stays of it.
    let target = weight.times(columns, pool: pool)
    let total = quadratic(weight, gram, pool: pool)
    let plain = gathered(weight, columns: kept, pool: pool)
    let square = Matrix(rows: kept.count, columns: kept.count)
    let mean = kept.reduce(0.0) { $0 + Double(gram.row($1)[$1]) } / Double(max(1, kept.count))
    func inner() {
      for (place, row) in kept.enumerated() { square.row(place).update(from: columns.row(row), count: kept.count) }
    }
    inner()
    /// ‖X W ᵀ − X_S Vᵀ‖²: what remains of the outputs' square.
    func error(of kept: Matrix) -> Double {
      let cross = (0..<kept.rows).reduce(0.0) { $0 + dso_inner_product(kept.row($1), target.row($1), Int64(kept.columns)) }
      return total - 2 * cross + quadratic(kept, square, pool: pool)
    }
    let before = error(of: plain)
    var damping = damping
    while damping <= 1 {
      let damped = square.copy(rows: 0..<square.rows)
      for place in kept.indices { damped.row(place)[place] += max(damping * Float(mean), .leastNormalMagnitude) }
      if let solver = SymmetricSolver(damped, pool: pool) {
        let result = target.copy(rows: 0..<target.rows)
        solver.solve(result, pool: pool)
        let after = error(of: result)
        // Rounding may leave more than nothing at all would.
        let isBetter = after.isFinite && after <= before
        return Outcome(
          weight: isBetter ? result : plain, errorBefore: total > 0 ? before / total : 0,
          errorAfter: total > 0 ? (isBetter ? after : before) / total : 0)
      }
      damping *= 10
    }
    return nil
  }

  /// tr(V C Vᵀ), in double from products in float32.
  private static func quadratic(_ weight: Matrix, _ gram: Matrix, pool: ThreadPool) -> Double {
    let products = weight.times(gram, pool: pool)
    return (0..<weight.rows).reduce(0.0) { $0 + dso_inner_product(weight.row($1), products.row($1), Int64(weight.columns)) }
  }

  private static func gathered(_ matrix: Matrix, columns: [Int], pool: ThreadPool) -> Matrix {
    let result = Matrix(rows: matrix.rows, columns: columns.count)
    let order = columns.map(Int32.init)
    pool.ranges(of: matrix.rows, grain: 64) { rows in
      for row in rows { dso_gather(matrix.row(row), order, Int64(order.count), result.row(row)) }
    }
    return result
  }
}
