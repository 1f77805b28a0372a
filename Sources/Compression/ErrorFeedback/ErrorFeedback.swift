import CKernels
import Diagnostics
import Execution
import Tensors

/// Rounding with error feedback: weights are rounded input by input, and what each rounding does to the outputs is made good, as far as
/// the inputs are correlated, by the targets of those that follow. Minimises `tr((W − Q) H (W − Q)ᵀ)` greedily.
///
/// The result is that of GPTQ (Frantar et al. 2022), found in the form of LDLQ (Chee et al. 2023, "QuIP"): one factorization
/// `H = Mᵀ D M` and no inverse. The target of a weight is `w[p] + Σ_{t<p} M[p, t] · (w[t] − q[t])`.
package struct ErrorFeedback {
  /// Inputs whose feedback to later ones is added together; 1 to 128. Changes speed, and results by rounding only.
  package var blockSize = Int(DSO_FEEDBACK_COLUMNS)

  package init(blockSize: Int = Int(DSO_FEEDBACK_COLUMNS)) {
    self.blockSize = min(max(1, blockSize), Int(DSO_FEEDBACK_COLUMNS))
  }

  struct Result {
    /// `[rows, columns]` in the weight's own order, one to a byte, stored plus 2^(bits−1).
    var codes: [UInt8]
    /// `tr((W − Q) H (W − Q)ᵀ)` over the tokens' weight, H without damping: the mean squared error of an output vector.
    var error: Double
    /// What each row adds to it, times the tokens' weight.
    var rowErrors: [Double]
    /// Weights whose target feedback clamped by more than rounding. `CoordinateDescent`, whose moves stay within the codes, leaves it as it
    /// is.
    var clipped: Int
    var dampingUsed: Float
    var fallback: String?
  }

  /// Rounds a weight to a table of grids.
  ///
  /// - Parameters:
  ///   - weight: `[outputs, inputs]`.
  ///   - name: the layer, for errors.
  ///   - factor: of the Gram matrix of its inputs.
  /// - Throws: extents that do not fit each other, or weights or scales that are not finite.
  func quantize(
    _ weight: WeightRows, named name: String, grids: GridTable, factor: FeedbackFactor, pool: ThreadPool
  ) throws(CompressionError) -> Result {
    guard weight.rows == grids.rows, weight.columns == grids.columns, weight.columns == factor.inputs else {
      throw CompressionError(
        name,
        "is \(weight.rows) by \(weight.columns), its table of scales for \(grids.rows) by \(grids.columns), its Gram matrix for "
          + "\(factor.inputs) inputs", kind: .badData)
    }
    try grids.check(named: name)
    let bands = FeedbackBands(weight: weight, grids: grids, factor: factor, blockSize: blockSize)
    let outcome = bands.run(pool: pool)
    WorkMeter.add(WorkEstimate.feedback(rows: weight.rows, columns: weight.columns, isTwoSided: false))
    let total = outcome.losses.reduce(0, +)
    if !total.isFinite { try Self.refuse(weight, named: name) }
    return Result(
      codes: outcome.codes, error: max(0, total) / (factor.totalWeight > 0 ? factor.totalWeight : 1), rowErrors: outcome.losses,
      clipped: outcome.clipped, dampingUsed: factor.dampingUsed, fallback: factor.fallback)
  }

  /// Says why an error came out as no number.
  private static func refuse(_ weight: WeightRows, named name: String) throws(CompressionError) {
    let row = Matrix(rows: 1, columns: weight.columns)
    var bad: Int64 = 0
    for index in 0..<weight.rows {
      weight.read(row: index, into: row.pointer)
      var (low, high, odd) = (Float(0), Float(0), Int64(0))
      dso_min_max(row.pointer, Int64(weight.columns), &low, &high, &odd)
      bad += odd
    }
    guard bad == 0 else {
      throw CompressionError(
        name, "has \(bad) weights that are NaN or infinite", remedy: "repair the checkpoint, or --ignore this layer", kind: .badData)
    }
    throw CompressionError(
      name, "has weights and activations so large that their error overflows", remedy: "leave it out with --ignore", kind: .badData)
  }
}

extension GridTable {
  /// What rounding with feedback asks of a table.
  func check(named name: String) throws(CompressionError) {
    if levels == nil { try scheme.checkEven(named: name) }
    guard (2...8).contains(scheme.bits), scales.count == rows * groups, zeroPoints.count == rows * groups, scales.allSatisfy(\.isFinite)
    else { throw CompressionError(name, "has a table of scales that cannot be used", kind: .badData) }
  }
}
