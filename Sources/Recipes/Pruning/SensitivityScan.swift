import Compression
import Diagnostics
import Evaluation
import Execution
import Foundation
import ModelGraph
import Reporting

/// What removing a share of one kind of dimension alone costs, kind by kind and share by share, without repair: where a model can be pruned, and
/// how far.
struct SensitivityScan {
  let model: ModelBundle
  let pruning: StructuredPruning
  /// Of the report's other figures, so that they compare.
  let evaluator: Evaluator
  let pool: ThreadPool
  let progress: ProgressHandler?

  private static let ratios = [0.1, 0.2, 0.3, 0.4, 0.5]
  /// The most predictions that each is measured on.
  private static let tokens = 8192

  /// - Parameter text: what the report is measured on; a part of it is used.
  func points(on text: EvaluationText) throws -> [CompressionReport.Pruning.ScanPoint] {
    let windows = max(1, min(text.windows.count, Self.tokens / text.context))
    let part = try EvaluationText(name: text.name, tokens: Array(text.windows.prefix(windows).joined()), context: text.context)
    let kinds = ChannelDimension.Kind.allCases
    var points: [CompressionReport.Pruning.ScanPoint] = []
    let meter = WorkMeter("Scanning", costs: Array(repeating: 1, count: kinds.count * Self.ratios.count), progress: progress)
    for (place, kind) in kinds.enumerated() {
      for (step, ratio) in Self.ratios.enumerated() {
        try Interruption.check()
        meter.begin(place * Self.ratios.count + step)
        guard let graph = try pruned(kind, ratio) else { continue }
        // Heads are whole: several shares may come to the same.
        if points.last?.kind == kind.rawValue, points.last?.parameters == graph.parameterCount { continue }
        let accuracy = try meter.measure { try evaluator.accuracy(of: graph, reference: model.graph, on: part) }
        points.append(
          .init(kind: kind.rawValue, ratio: ratio, parameters: graph.parameterCount, klDivergence: accuracy.klDivergence?.mean))
      }
    }
    meter.finish()
    return points
  }

  /// Nil where the share is less than a unit.
  private func pruned(_ kind: ChannelDimension.Kind, _ ratio: Double) throws -> ModelGraph? {
    var scanned = StructuredPruning(importance: pruning.importance.needsText ? .l1 : pruning.importance, multiple: 1)
    switch kind {
    case .mlp: scanned.mlp = ratio
    case .heads: scanned.heads = ratio
    case .hidden: scanned.hidden = ratio
    case .latent: scanned.ranks = ratio
    }
    guard try !scanned.sizes(of: model.graph).isEmpty else { return nil }
    var graph = try scanned.withoutHidden(model.graph, pool: pool)
    for index in graph.blocks.indices {
      _ = try scanned.prune(index, of: &graph, calibration: { nil }, pool: pool)
    }
    return graph
  }
}
