import CKernels
import Diagnostics
import Execution
import Tensors

/// Rounding with feedback between inputs and between outputs: minimises `tr(G (W − Q) H (W − Q)ᵀ)` greedily, H the Gram matrix of the
/// inputs, G what the model's output feels of the layer's outputs (`OutputSensitivity`).
///
/// Both matrices are factored (`H = Mᵀ D M`, `G` alike); the target of a weight adds, to the feedback of `ErrorFeedback`, what the rounding
/// of earlier outputs left, spread by G's factor (two-sided LDLQ: Tseng et al. 2025, "Model-Preserving Adaptive Rounding", YAQA).
struct TwoSidedFeedback {
  /// Rows and columns of a tile.
  private static let tile = Int(DSO_FEEDBACK_COLUMNS)

  /// - Parameters:
  ///   - inputs: the factor of H, with feedback: `hasFactor`.
  ///   - outputs: the factor of G, which is transposed.
  /// - Returns: codes in the weight's own order; the error is tr(G ΔW H ΔWᵀ), damping included, over the tokens.
  func quantize(
    _ weight: WeightRows, named name: String, grids: GridTable, inputs: FeedbackFactor, outputs: FeedbackFactor, pool: ThreadPool
  ) throws(CompressionError) -> ErrorFeedback.Result {
    guard weight.rows == grids.rows, weight.columns == grids.columns, weight.columns == inputs.inputs, weight.rows == outputs.inputs,
      inputs.hasFactor, outputs.hasFactor
    else { throw CompressionError(name, "does not fit its factors", kind: .badData) }
    try grids.check(named: name)
    let (rows, columns) = (weight.rows, weight.columns)
    let work = Work(weight, grids, inputs, outputs, pool: pool)
    let spread = outputs.transposedFactor(pool: pool)
    for begin in stride(from: 0, to: columns, by: Self.tile) {
      let count = min(Self.tile, columns - begin)
      work.addColumns(before: begin, count: count)
      for first in stride(from: 0, to: rows, by: Self.tile) {
        work.round(columns: begin..<begin + count, rows: first..<min(rows, first + Self.tile), spread: spread)
      }
      work.scatter(columns: begin..<begin + count)
      WorkMeter.add(WorkEstimate.feedback(rows: rows, columns: columns, isTwoSided: true) * Double(count) / Double(columns))
    }
    let total = work.losses.reduce(0, +)
    guard total.isFinite else {
      throw CompressionError(
        name, "has weights and activations so large that their error overflows, or some that are no numbers",
        remedy: "leave it out with --ignore", kind: .badData)
    }
    var rowErrors = [Double](repeating: 0, count: rows)
    for (place, row) in outputs.order.enumerated() { rowErrors[Int(row)] = work.losses[place] }
    let fallbacks = [inputs.fallback, outputs.fallback.map { "output sensitivity: " + $0 }].compactMap { $0 }
    return ErrorFeedback.Result(
      codes: work.codes, error: max(0, total) / (inputs.totalWeight > 0 ? inputs.totalWeight : 1), rowErrors: rowErrors,
      clipped: work.clipped, dampingUsed: inputs.dampingUsed, fallback: fallbacks.isEmpty ? nil : fallbacks.joined(separator: "; "))
  }

  /// The whole weight column-major in processing order, and what its rounding leaves.
  private final class Work {
    let (rows, columns, ld): (Int, Int, Int)
    let (inputs, outputs, pool): (FeedbackFactor, FeedbackFactor, ThreadPool)
    /// `[columns, ld]`: weights, then errors.
    let values: Matrix
    /// `[tile, ld]`: what the columns so far say of the tile's.
    let sums: Matrix
    /// `[tile, tile]`
    let rowFeedback = Matrix(rows: tile, columns: tile)
    /// `[groups, ld]`
    let scales: Matrix
    let zeroPoints: Matrix
    let groups: [Int32]
    let bits: Int32
    let levels: UnsafePointer<Float>?
    var tileCodes: [UInt8]
    var codes: [UInt8]
    var losses: [Double]
    var clipped = 0

    init(_ weight: WeightRows, _ grids: GridTable, _ inputs: FeedbackFactor, _ outputs: FeedbackFactor, pool: ThreadPool) {
      (rows, columns) = (weight.rows, weight.columns)
      ld = (rows + 15) / 16 * 16
      (self.inputs, self.outputs, self.pool) = (inputs, outputs, pool)
      values = Matrix(rows: columns, columns: ld)
      sums = Matrix(rows: tile, columns: ld)
      scales = Matrix(rows: grids.groups, columns: ld)
      zeroPoints = Matrix(rows: grids.groups, columns: ld)
      groups = inputs.order.map { $0 / Int32(clamping: grids.groupSize) }
      (bits, levels) = (Int32(grids.scheme.bits), grids.levels)
      tileCodes = Array(repeating: 0, count: tile * ld)
      codes = Array(repeating: 0, count: rows * columns)
      losses = Array(repeating: 0, count: rows)
      load(weight, grids)
    }

    private func load(_ weight: WeightRows, _ grids: GridTable) {
      let (rows, columns, ld, order) = (rows, columns, ld, outputs.order)
      let (inputOrder, values, scales, zeroPoints) = (inputs.order, values, scales, zeroPoints)
      // Sixteen rows at a time come into order together: whole cache lines are written.
      pool.run((rows + 15) / 16, scratchBytes: 16 * columns * 4) { strip, scratch in
        let buffer = scratch.bindMemory(to: Float.self, capacity: 16 * columns)
        let first = strip * 16
        let count = min(16, rows - first)
        for row in 0..<count {
          let source = Int(order[first + row])
          weight.read(row: source, into: buffer + row * columns)
          for group in 0..<grids.groups {
            // Nested scales may be 0: beside one this large every weight is 0, as it is in the end.
            let scale = grids.scales[source * grids.groups + group]
            scales.row(group)[first + row] = scale == 0 ? .greatestFiniteMagnitude : scale
            zeroPoints.row(group)[first + row] = Float(grids.zeroPoints[source * grids.groups + group])
          }
        }
        dso_gather_columns(buffer, Int64(columns), Int64(count), inputOrder, Int64(columns), values.pointer + first, Int64(ld))
      }
    }

    /// What the columns that are done add to the targets of the next ones.
    func addColumns(before begin: Int, count: Int) {
      sums.pointer.update(repeating: 0, count: count * ld)
      var product = dso_outer_product(
        x: inputs.matrix.row(begin), columns, y: values.pointer, ld, depth: begin, into: sums.pointer, ld)
      product.x_by_rows = 1
      OuterProducts.accumulate(product, rows: count, columns: ld, pool: pool)
    }

    func round(columns range: Range<Int>, rows band: Range<Int>, spread: Matrix) {
      rowFeedback.pointer.update(repeating: 0, count: tile * tile)
      var product = dso_outer_product(
        x: sums.pointer, ld, y: spread.pointer + band.lowerBound, rows, depth: band.lowerBound, into: rowFeedback.pointer, tile)
      product.x_by_rows = 1
      OuterProducts.accumulate(product, rows: range.count, columns: band.count, pool: pool)
      let begin = range.lowerBound
      let (first, ld64) = (band.lowerBound, Int64(ld))
      groups.withUnsafeBufferPointer { groups in
        inputs.pivots.withUnsafeBufferPointer { pivots in
          outputs.pivots.withUnsafeBufferPointer { rowPivots in
            tileCodes.withUnsafeMutableBufferPointer { codes in
              losses.withUnsafeMutableBufferPointer { losses in
                guard let groups = groups.baseAddress, let pivots = pivots.baseAddress, let rowPivots = rowPivots.baseAddress,
                  let codes = codes.baseAddress, let losses = losses.baseAddress
                else { return }
                var step = dso_two_sided_step(
                  rows: Int64(band.count), columns: Int64(range.count), ld: ld64, weights: values.row(begin) + first,
                  sums: sums.pointer + first, row_feedback: rowFeedback.pointer, ld_row_feedback: Int64(tile),
                  m: inputs.matrix.row(begin) + begin, ldm: Int64(columns), row_m: spread.row(first) + first, ld_row_m: Int64(rows),
                  groups: groups + begin, scales: scales.pointer + first, zero_points: zeroPoints.pointer + first, ldg: ld64, bits: bits,
                  pivots: pivots + begin, row_pivots: rowPivots + first, codes: codes + first, losses: losses + first,
                  levels: levels)
                clipped += Int(dso_round_two_sided(&step))
              }
            }
          }
        }
      }
    }

    /// Codes of finished columns to where they belong.
    func scatter(columns range: Range<Int>) {
      let (columns, ld, order) = (columns, ld, outputs.order)
      codes.withUnsafeMutableBufferPointer { codes in
        tileCodes.withUnsafeBufferPointer { tile in
          inputs.order.withUnsafeBufferPointer { inputs in
            // Every task writes the rows it was given, and only those.
            nonisolated(unsafe) let (codes, tile, inputs) = (codes, tile, inputs)
            pool.ranges(of: rows, grain: 16) { rows in
              guard let codes = codes.baseAddress, let tile = tile.baseAddress, let inputs = inputs.baseAddress else { return }
              for row in rows {
                dso_scatter_codes(
                  tile + row, Int64(ld), 1, inputs + range.lowerBound, Int64(range.count), codes + Int(order[row]) * columns,
                  Int64(columns))
              }
            }
          }
        }
      }
    }
  }
}
