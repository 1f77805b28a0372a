import Diagnostics
import Execution
import ModelGraph

/// What the experts of a block read, kept so that the Gram matrix of one after the other can be found: all of them together would take more
/// memory than the block's weights.
///
/// It holds the activations that are sent to experts once, for all of them, in memory or on disk as calibration's own are.
final class ExpertInputs {
  private let block: Block
  /// The model as it was when the text went through it: what passes have changed since is not seen.
  private let graph: ModelGraph
  private let calibration: BlockCalibration
  private let importance: [ValueID: [Float]]
  /// By the value that experts get rows of.
  private var stores: [ValueID: ActivationStore] = [:]
  /// The rows of every batch, by routing and expert.
  private var rows: [ValueID: [Int: [Int: [Int32]]]] = [:]
  /// The Gram matrices of whole layers, by the value.
  private var layers: [ValueID: GramMatrix] = [:]
  /// What each routing's experts get rows of.
  private var sources: [ValueID: ValueID] = [:]

  /// - Returns: nil where the block has no experts.
  init?(of block: Block, in graph: ModelGraph, calibration: BlockCalibration, importance: [ValueID: [Float]]) throws {
    (self.block, self.graph, self.calibration, self.importance) = (block, graph, calibration, importance)
    for node in graph.nodes[block.nodes] {
      if case .dispatch = node.operation { sources[node.inputs[1]] = node.inputs[0] }
    }
    guard !sources.isEmpty else { return nil }
    for source in Set(sources.values) { stores[source] = try calibration.makeStore(width: graph[source].width ?? 0) }
  }

  /// Keeps what a layer reads, where experts read it too, and which rows an expert reads.
  func note(_ run: LinearRun, batch: Int) throws {
    let value = run.node.inputs[0]
    if let store = stores[value] { try store.store(run.input, for: batch) }
    if let rows = run.rows, let route = graph[value].route {
      self.rows[route.routing, default: [:]][route.expert, default: [:]][batch] = rows
    }
  }

  /// Whether experts get rows of a value: every process keeps it.
  func isSource(_ value: ValueID) -> Bool { stores[value] != nil }

  /// The value that an expert gets rows of.
  func source(of routing: ValueID) -> ValueID? { sources[routing] }

  /// Σ x xᵀ of what an expert's layers read.
  func gram(of value: ValueID) throws -> GramMatrix {
    let result = GramMatrix(inputs: graph[value].width ?? 0)
    guard let (routing, index) = graph[value].route, let source = sources[routing], let store = stores[source],
      let expert = try LoadedExpert(index, of: routing, in: block, of: graph)
    else { return result }
    var first = 0
    for batch in 0..<calibration.batchCount {
      try Interruption.check()
      let rows = rows[routing]?[index]?[batch] ?? []
      if !rows.isEmpty {
        let input = try expert.value(value, from: try store.load(rows: rows, of: batch), by: calibration.interpreter)
        let weights = importance[value].map { all in rows.map { all[first + Int($0)] } }
        try result.accumulate(input, weights: weights, pool: calibration.interpreter.pool)
      }
      first += calibration.layout(of: batch).rows
    }
    return result
  }

  /// Σ x xᵀ over all tokens of the layer, whichever experts they go to. Found once; it must not be changed.
  func layerGram(of source: ValueID) throws -> GramMatrix {
    if let known = layers[source] { return known }
    let result = GramMatrix(inputs: graph[source].width ?? 0)
    for batch in 0..<calibration.batchCount {
      try Interruption.check()
      guard let input = try stores[source]?.load(batch) else { break }
      try result.accumulate(input, pool: calibration.interpreter.pool)
    }
    layers[source] = result
    return result
  }
}
