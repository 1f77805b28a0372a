import Diagnostics
import Execution
import ModelGraph
import Tensors

/// AutoRound at work: quantizes a block as training starts, trains it, and keeps the better of the two.
struct AutoRoundWorker: BlockPass {
  let pass: AutoRound
  let schemes: [ParameterID: QuantizationScheme]
  /// How far inside their codes' cells weights start that feedback rounded elsewhere than to nearest, in steps of the grid.
  private static let margin: Float = 0.25
  /// What is added to the diagonal of the output's Fisher information, as a share of its mean.
  private static let damping: Float = 0.1

  var record = PassRecord(pass: AutoRound.identifier)

  var plan: [ParameterID: WeightStorage] { schemes.mapValues(WeightStorage.quantized) }

  mutating func apply(to block: Block, of graph: inout ModelGraph, in context: PassContext) throws {
    let targeted = graph.linears(of: block).filter { schemes[$0.weight] != nil }
    guard !targeted.isEmpty else { return }
    guard let calibration = context.calibration else {
      throw CompressionError(block.name, "cannot be calibrated", remedy: "give --calibration", kind: .usage)
    }
    let (quantized, notes) = try started(block, of: graph, in: context)
    // A head has no output to be compared block by block: it keeps its start.
    guard pass.iterations > 0, block.kind != .head else {
      for (node, id) in targeted {
        guard case .quantized(let tensor) = try quantized[id].load() else { continue }
        try finish(node, id, tensor, clipped: notes[node.scope]?.clipped ?? 0, fallback: notes[node.scope]?.fallback, of: &graph)
      }
      return
    }
    var weights: [LearnedWeight] = []
    for (_, id) in targeted {
      guard case .dense(let original) = try graph[id].load(), case .quantized(let start) = try quantized[id].load() else { continue }
      weights.append(
        try LearnedWeight(
          id, named: graph[id].name, weight: .tensor(original), start: start, margin: pass.start == .feedback ? Self.margin : nil,
          pool: context.pool))
    }
    let weighed = try (pass.loss == .sensitivity ? calibration.sensitivity : nil).flatMap {
      try BlockLoss($0, of: block, in: graph, damping: Self.damping, pool: context.pool)
    }
    let training = RoundingTraining(
      pass: pass, block: block, graph: quantized, calibration: calibration, interpreter: context.interpreter, loss: weighed ?? .plain,
      seed: SeededRandom.value(seed: context.seed, index: UInt64(block.nodes.lowerBound)))
    let outcome = try training.run(weights)
    for (node, id) in targeted {
      guard let weight = weights.first(where: { $0.id == id }) else { continue }
      var fallback = notes[node.scope]?.fallback.map { [$0] } ?? []
      if pass.loss == .sensitivity, weighed == nil { fallback.append("the block's sensitivity is not known: all errors weighed alike") }
      if !(outcome.best < outcome.start) { fallback.append("training did not lower the block's error: kept as it started") }
      try finish(
        node, id, try weight.tensor(pool: context.pool), clipped: weight.clipped,
        fallback: fallback.isEmpty ? nil : fallback.joined(separator: "; "), of: &graph)
    }
  }

  /// The block as training starts, and what is to be said of each layer.
  private mutating func started(
    _ block: Block, of graph: ModelGraph, in context: PassContext
  ) throws -> (graph: ModelGraph, notes: [String: PassRecord.Layer]) {
    var quantized = graph
    var notes: [String: PassRecord.Layer] = [:]
    switch pass.start {
    case .feedback:
      var options = GPTQ()
      options.targets = pass.targets
      options.outputSensitivity = pass.loss == .sensitivity && context.calibration?.sensitivity != nil
      var worker = GPTQWorker(pass: options, schemes: schemes)
      try worker.apply(to: block, of: &quantized, in: context)
      record.warnings += worker.record.warnings
      for layer in worker.record.layers { notes[layer.module] = layer }
    case .nearest:
      let statistics = try context.calibration?.statistics(.columns, in: graph) ?? [:]
      for (node, id) in graph.linears(of: block) {
        guard let scheme = schemes[id], case .dense(let tensor) = try graph[id].load() else { continue }
        let (rows, name) = (WeightRows.tensor(tensor), graph[id].name)
        let table = try GridTable(
          searching: rows, named: name, scheme: scheme, importance: statistics[node.inputs[0]]?.meanSquare, elements: .imatrix,
          scaleType: graph[id].nativeType.map { $0 == .float64 ? .float32 : $0 }, pool: context.pool)
        let result = try table.quantize(rows, named: name, pool: context.pool)
        notes[node.scope] = PassRecord.Layer(
          module: node.scope, scheme: scheme, weights: tensor.shape.elementCount, clipped: result.clipped)
        try quantized.replace(id, with: .quantized(result.tensor))
      }
    }
    return (quantized, notes)
  }

  private mutating func finish(
    _ node: Node, _ id: ParameterID, _ tensor: QuantizedTensor, clipped: Int, fallback: String?, of graph: inout ModelGraph
  ) throws {
    guard let scheme = schemes[id] else { return }
    record.layers.append(
      PassRecord.Layer(
        module: node.scope, scheme: scheme, weights: tensor.shape.elementCount, clipped: clipped, fallback: fallback))
    try graph.replace(id, with: .quantized(tensor))
  }
}
