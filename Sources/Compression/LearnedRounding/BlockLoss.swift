import CKernels
import Execution
import ModelGraph

/// What an error of a block's output costs: Σ p eᵀ G e over the tokens, e the difference from the target, p and G 1 unless the model's
/// sensitivity is known.
struct BlockLoss {
  /// What an error of the output weighs, `[width, width]`, symmetric; nil for the unit matrix.
  private let form: Matrix?
  /// What each token of the calibration stream weighs; nil for 1.
  private let importance: [Float]?

  static let plain = BlockLoss(form: nil, importance: nil)

  private init(form: Matrix?, importance: [Float]?) {
    self.form = form
    self.importance = importance
  }

  /// The Fisher information of the layer that writes the block's output: of the last linear before the last sum, whose gradient is the
  /// block's own. Nil where the block does not end so, or the layer was not measured.
  ///
  /// - Parameter damping: what is added to the diagonal, as a share of its mean.
  init?(
    _ sensitivity: OutputSensitivity, of block: Block, in graph: ModelGraph, damping: Float, pool: ThreadPool
  ) throws {
    guard let last = graph.nodes[block.nodes].last, case .add = last.operation,
      let writer = graph.linears(of: block).last(where: { last.inputs.contains($0.node.output) }),
      let factor = try sensitivity.factor(of: writer.weight)
    else { return nil }
    let form = factor.take(pool: pool)
    let width = form.columns
    let mean = (0..<width).reduce(0.0) { $0 + Double(form.row($1)[$1]) } / Double(max(1, width))
    guard mean > 0, mean.isFinite else { return nil }
    let share = Float(1 / (mean * Double(1 + damping)))
    for row in 0..<width {
      for column in 0..<width { form.row(row)[column] *= share }
      form.row(row)[row] += damping / (1 + damping)
    }
    self.form = form
    importance = try sensitivity.importance(readersOf: writer.node.inputs[0], in: block, of: graph)
  }

  /// The loss of some windows and, half of it, its gradient.
  func evaluate(_ output: Matrix, _ target: Matrix, firstToken: Int, pool: ThreadPool) -> (loss: Double, gradient: Matrix) {
    let difference = Matrix(rows: output.rows, columns: output.columns)
    var losses = [Double](repeating: 0, count: output.rows)
    losses.withUnsafeMutableBufferPointer { losses in
      nonisolated(unsafe) let losses = losses
      pool.ranges(of: output.rows, grain: 64) { range in
        for row in range {
          losses[row] = dso_weighted_difference(
            output.row(row), target.row(row), importance?[firstToken + row] ?? 1, Int64(output.columns), difference.row(row))
        }
      }
    }
    guard let form else { return (losses.reduce(0, +), difference) }
    let gradient = Matrix(rows: output.rows, columns: output.columns)
    var weights = dso_weights()
    weights.storage = DSO_STORAGE_F32
    weights.data = UnsafeRawPointer(form.pointer)
    weights.n = Int64(form.rows)
    weights.k = Int64(form.columns)
    weights.row_bytes = Int64(form.columns * MemoryLayout<Float>.stride)
    let piece = max(64, (output.rows + pool.threads - 1) / pool.threads)
    let scratch = Int(dso_matmul_scratch_bytes(&weights))
    losses.withUnsafeMutableBufferPointer { losses in
      nonisolated(unsafe) let losses = losses
      pool.run((output.rows + piece - 1) / piece, scratchBytes: scratch) { task, scratch in
        let rows = task * piece..<min(output.rows, (task + 1) * piece)
        let width = Int64(output.columns)
        withUnsafePointer(to: weights) { weights in
          dso_matmul_f32(
            difference.row(rows.lowerBound), width, Int64(rows.count), weights, 0, width, nil, gradient.row(rows.lowerBound), width,
            scratch)
        }
        for row in rows {
          let weight = Double(importance?[firstToken + row] ?? 1)
          losses[row] = weight > 0 ? dso_inner_product(difference.row(row), gradient.row(row), width) / weight : 0
        }
      }
    }
    return (losses.reduce(0, +), gradient)
  }
}
