import CKernels
import Diagnostics
import Execution
import ModelGraph
import Tensors

/// The work of sparsification, layer by layer.
struct SparsificationWorker: BlockPass {
  let pass: Sparsification
  let layers: Set<ParameterID>
  /// What is stored stays what it was.
  let plan: [ParameterID: WeightStorage] = [:]
  var record = PassRecord(pass: Sparsification.identifier)

  mutating func apply(to block: Block, of graph: inout ModelGraph, in context: PassContext) throws {
    let chosen = graph.linears(of: block).filter { layers.contains($0.weight) }
    guard !chosen.isEmpty else { return }
    let kinds: StatisticKinds = pass.method == .sparsegpt ? .gram : .columns
    let statistics = try pass.needs.isEmpty ? nil : context.calibration?.statistics(kinds, in: graph)
    // Layers that read the same inputs share one factor.
    var factors: [ValueID: FeedbackFactor] = [:]
    for (node, id) in chosen {
      try Interruption.check()
      let weight = try Matrix(graph[id])
      guard (0..<weight.rows * weight.columns).allSatisfy({ weight.pointer[$0].isFinite }) else {
        throw CompressionError(graph[id].name, "has weights that are NaN or infinite", remedy: "repair the checkpoint", kind: .badData)
      }
      let input = node.inputs[0]
      switch pass.method {
      case .magnitude: mask(weight, columns: nil)
      case .wanda: mask(weight, columns: try seen(statistics?[input], node).meanSquare)
      case .sparsegpt:
        let factor = try factors[input] ?? self.factor(seen(statistics?[input], node), node, context)
        factors[input] = factor
        if factor.hasFactor {
          MaskedFeedback(pass: pass, factor: factor).run(weight, pool: context.pool)
        } else {
          mask(weight, columns: nil)
          record.warnings.append("\(node.scope): \(factor.fallback ?? "no factor"); masked by magnitude")
        }
      }
      guard let tensor = weight.tensor(graph[id].shape).converted(to: graph[id].nativeType ?? .float32) else {
        throw CompressionError(graph[id].name, "cannot be written in its type", kind: .badData)
      }
      try graph.replace(id, with: .dense(tensor))
    }
  }

  private func factor(_ statistics: InputStatistics, _ node: Node, _ context: PassContext) throws -> FeedbackFactor {
    guard let gram = try statistics.takeGram(pool: context.pool) else {
      throw CompressionError(node.scope, "has no statistics of its inputs", kind: .usage)
    }
    return try FeedbackFactor(of: gram, named: node.scope, options: .init(actOrder: false), pool: context.pool)
  }

  private func seen(_ statistics: InputStatistics?, _ node: Node) throws(CompressionError) -> InputStatistics {
    guard let statistics else {
      throw CompressionError(node.scope, "was not seen by calibration", remedy: "give calibration text", kind: .usage)
    }
    return statistics
  }

  /// Sets the least of every row to zero.
  /// - Parameter columns: the mean square of what each column reads; nil for all alike.
  private func mask(_ weight: Matrix, columns: [Float]?) {
    let width = weight.columns
    var scores = [Float](repeating: 0, count: width)
    for row in 0..<weight.rows {
      let values = weight.row(row)
      for column in 0..<width { scores[column] = values[column] * values[column] * (columns?[column] ?? 1) }
      for column in pass.zeros(scores) { values[column] = 0 }
    }
  }
}

extension Sparsification {
  /// Which places of a row become zero: those of the least scores, of equal ones the last.
  func zeros(_ scores: [Float]) -> [Int] {
    func least(_ range: Range<Int>, _ count: Int) -> ArraySlice<Int> {
      range.sorted { (scores[$0], -$0) < (scores[$1], -$1) }.prefix(count)
    }
    guard let (size, kept) = pattern.group else {
      return Array(least(scores.indices, Int((Double(scores.count) * sparsity).rounded())))
    }
    return stride(from: 0, to: scores.count, by: size).flatMap { start in
      let range = start..<min(start + size, scores.count)
      return Array(least(range, max(0, range.count - kept)))
    }
  }
}
