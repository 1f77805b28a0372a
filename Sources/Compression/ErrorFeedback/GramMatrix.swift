import CKernels
import Diagnostics
import Execution
import Tensors

/// The Gram matrix `H = Σ xᵀx` of a linear's inputs, `[inputs, inputs]` float32: what the squared error of its outputs looks like as a
/// function of its weights. Linears that read the same value share one.
package final class GramMatrix {
  /// Columns of the activations; 0 once the values were taken away.
  package private(set) var inputs: Int
  /// Rows of activations seen.
  package private(set) var tokens = 0
  /// Sum of the weights of those rows: `tokens` where none were given.
  package private(set) var totalWeight = 0.0
  /// The lower triangle; the upper one too when `isMirrored`.
  private var values: Matrix
  private var isMirrored = true

  /// A matrix of zeros.
  package init(inputs: Int) {
    self.inputs = max(0, inputs)
    values = Matrix(rows: self.inputs, columns: self.inputs)
  }

  /// A matrix whose lower triangle is known.
  init(lower values: Matrix, tokens: Int, totalWeight: Double) {
    inputs = values.columns
    self.values = values
    self.tokens = tokens
    self.totalWeight = totalWeight
    isMirrored = false
  }

  /// Adds a batch of activations `[tokens, inputs]`. The sum depends on how tokens are cut into batches, never on threads.
  ///
  /// - Parameter weights: what each token counts, at least 0; nil for 1.
  /// - Throws: a batch of another width, or weights of another number.
  package func accumulate(_ activations: Matrix, weights: [Float]? = nil, pool: ThreadPool) throws(CompressionError) {
    try Self.accumulate(activations, weights: weights, rows: 0..<inputs, of: inputs, into: values, pool: pool)
    isMirrored = false
    tokens += activations.rows
    totalWeight += weights?.reduce(0) { $0 + Double($1) } ?? Double(activations.rows)
  }

  /// Adds a batch to some rows of the lower triangle.
  /// - Parameter values: these rows, as far as the last of them reaches or further.
  static func accumulate(
    _ activations: Matrix, weights: [Float]?, rows: Range<Int>, of inputs: Int, into values: Matrix, pool: ThreadPool
  ) throws(CompressionError) {
    guard activations.columns == inputs else {
      throw CompressionError(
        "Gram matrix", "has \(inputs) inputs, and was given activations of \(activations.columns)", kind: .usage)
    }
    guard (weights?.count ?? activations.rows) == activations.rows else {
      throw CompressionError("Gram matrix", "was given \(weights?.count ?? 0) weights for \(activations.rows) tokens", kind: .usage)
    }
    func add(_ weights: UnsafePointer<Float>?) {
      let product = dso_outer_product(
        x: activations.pointer, inputs, y: activations.pointer, inputs, depth: activations.rows, weights: weights,
        into: values.pointer - rows.lowerBound * values.columns, values.columns, lower: true)
      OuterProducts.accumulate(product, rows: rows, columns: rows.upperBound, pool: pool)
    }
    if let weights { weights.withUnsafeBufferPointer { add($0.baseAddress) } } else { add(nil) }
    let share = (Double(rows.upperBound * rows.upperBound) - Double(rows.lowerBound * rows.lowerBound)) / Double(max(1, inputs * inputs))
    WorkMeter.add(WorkEstimate.gram(inputs, tokens: activations.rows) * share)
  }

  /// Adds another matrix of as many inputs, times a factor.
  package func add(_ other: GramMatrix, times factor: Float) {
    let values = values
    let ones = [Float](repeating: 1, count: inputs)
    let row = Matrix(rows: 1, columns: inputs)
    for index in 0..<inputs where other.inputs == inputs {
      // Lower triangles; what is above is not looked at.
      row.pointer.update(from: other.values.row(index), count: index + 1)
      dso_scale_elements(row.pointer, ones, factor, Int64(index + 1))
      dso_add(row.pointer, values.row(index), Int64(index + 1))
    }
    isMirrored = false
    tokens += other.tokens
    totalWeight += other.totalWeight * Double(factor)
  }

  /// Multiplies everything off the diagonal.
  package func shrinkToDiagonal(by factor: Float) {
    let ones = [Float](repeating: 1, count: inputs)
    for index in 0..<inputs {
      let value = values.row(index)[index]
      dso_scale_elements(values.row(index), ones, factor, Int64(inputs))
      values.row(index)[index] = value
    }
  }

  /// `H[j, j]`: the sum of squares of each input.
  package var diagonal: [Float] { (0..<inputs).map { values.pointer[$0 * inputs + $0] } }

  /// Both triangles. Shared with the object, not a copy.
  package func symmetric(pool: ThreadPool) -> Matrix {
    if !isMirrored {
      let n = inputs
      nonisolated(unsafe) let pointer = values.pointer
      pool.ranges(of: n, grain: 64) { dso_mirror(pointer, Int64(n), Int64(n), Int64($0.lowerBound), Int64($0.upperBound), 0) }
      isMirrored = true
    }
    return values
  }

  /// A matrix of its own with the same values.
  package func copy() -> GramMatrix {
    let other = GramMatrix(lower: values.copy(rows: 0..<values.rows), tokens: tokens, totalWeight: totalWeight)
    other.isMirrored = isMirrored
    return other
  }

  /// Both triangles, taken away: the object is left empty, and takes no more activations.
  package func take(pool: ThreadPool) -> Matrix {
    let taken = symmetric(pool: pool)
    values = Matrix(rows: 0, columns: 0)
    inputs = 0
    return taken
  }
}
