import CKernels
import Diagnostics
import Execution
import Tensors

/// Improves codes that rounding with feedback left: in turn, every weight moves to the code that minimises `tr(G (W − Q) H (W − Q)ᵀ)` while
/// all others stay as they are, over all weights, several times. The objective, damping included, never rises.
///
/// The slope `G E H`, E = W − Q, says where: the best error of weight (i, j) is `E[i, j] − (G E H)[i, j] / (G[i, i] · H[j, j])`. Tiles are
/// descended in order by one thread; the products between them, most of the work, are cut over all.
struct CoordinateDescent {
  /// Rows and columns of a tile.
  private static let tile = Int(DSO_FEEDBACK_COLUMNS)

  /// The most times that all weights are visited; less when no code moves any more.
  var sweeps = 3

  /// - Parameters:
  ///   - result: codes of `weight` on `grids`, and their error.
  ///   - inputs: the factor of H, which stays as it is.
  ///   - outputs: the factor of G, which is gone after it; nil when the outputs do not matter to each other, G = 1.
  /// - Returns: the improved codes with their error, that of `ErrorFeedback` without G and of `TwoSidedFeedback` with it; how many were
  ///   clipped stays what rounding found.
  func improve(
    _ result: ErrorFeedback.Result, of weight: WeightRows, grids: GridTable, inputs: FeedbackFactor, outputs: FeedbackFactor? = nil,
    pool: ThreadPool
  ) -> ErrorFeedback.Result {
    let isWhole = result.codes.count == weight.rows * weight.columns && grids.rows == weight.rows && grids.columns == weight.columns
    let fits = inputs.inputs == weight.columns && (outputs?.inputs ?? weight.rows) == weight.rows
    // Its moves are by steps, which levels have none of.
    guard sweeps > 0, grids.levels == nil, isWhole, fits, inputs.hasFactor, weight.rows > 0 else { return result }
    let order = outputs?.order ?? (0..<Int32(clamping: weight.rows)).map { $0 }
    let work = DescentWork(
      weight, codes: result.codes, grids: grids, inputs: inputs, rowOrder: order, outputs: outputs?.restoredMatrix(pool: pool), pool: pool)
    for _ in 0..<sweeps {
      var moved = 0
      for begin in stride(from: 0, to: weight.columns, by: Self.tile) {
        let end = min(weight.columns, begin + Self.tile)
        moved += work.descend(columns: begin..<end)
        WorkMeter.add(
          WorkEstimate.sweep(rows: weight.rows, columns: weight.columns, isTwoSided: outputs != nil) * Double(end - begin)
            / Double(weight.columns))
      }
      if moved == 0 { break }
    }
    var improved = result
    improved.codes = work.originalCodes()
    if outputs == nil { work.measure() }
    for (place, row) in order.enumerated() {
      improved.rowErrors[Int(row)] = outputs == nil ? work.losses[place] : result.rowErrors[Int(row)] - work.gains[place]
    }
    let total = improved.rowErrors.reduce(0, +)
    improved.error = max(0, total) / (inputs.totalWeight > 0 ? inputs.totalWeight : 1)
    return improved
  }
}
