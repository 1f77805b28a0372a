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

  private static let fewWindows =
    "the calibration text is too short to put windows aside: what training gained is judged on windows that it was trained on"

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
      let untrained = pass.iterations > 0 ? "a head is not trained: kept as it started" : nil
      for (node, id) in targeted {
        let fallback = [notes[node.scope]?.fallback, untrained].compactMap { $0 }
        try finish(
          node, id, try quantized.quantizedWeight(id, of: node.scope), clipped: notes[node.scope]?.clipped ?? 0,
          fallback: fallback.isEmpty ? nil : fallback.joined(separator: "; "), start: notes[node.scope], of: &graph)
      }
      return
    }
    var weights: [LearnedWeight] = []
    for (node, id) in targeted {
      let original = try graph.denseWeight(id, of: node.scope)
      let start = try quantized.quantizedWeight(id, of: node.scope)
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
    if outcome.judgesTrainedText, !record.warnings.contains(Self.fewWindows) { record.warnings.append(Self.fewWindows) }
    for ((node, id), weight) in zip(targeted, weights) {
      var fallback = notes[node.scope]?.fallback.map { [$0] } ?? []
      if pass.loss == .sensitivity, weighed == nil { fallback.append("the block's sensitivity is not known: all errors weighed alike") }
      if !(outcome.best < outcome.start) { fallback.append("training did not lower the block's error: kept as it started") }
      try finish(
        node, id, try weight.tensor(pool: context.pool), clipped: weight.clipped,
        fallback: fallback.isEmpty ? nil : fallback.joined(separator: "; "), start: notes[node.scope], of: &graph)
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
      let targeted = graph.linears(of: block).filter { schemes[$0.weight] != nil }
      record.warnOfDeadInputs(in: block, readBy: targeted, statistics, consequence: ImportanceRounding.deadInputs)
      for (node, id) in targeted {
        guard let scheme = schemes[id] else { continue }
        notes[node.scope] = try ImportanceRounding.quantize(
          node, id, as: scheme, statistics: statistics[node.inputs[0]], in: &quantized, pool: context.pool)
      }
    }
    return (quantized, notes)
  }

  private mutating func finish(
    _ node: Node, _ id: ParameterID, _ tensor: QuantizedTensor, clipped: Int, fallback: String?, start: PassRecord.Layer?,
    of graph: inout ModelGraph
  ) throws {
    guard let scheme = schemes[id] else { return }
    record.layers.append(
      PassRecord.Layer(
        module: node.scope, scheme: scheme, weights: tensor.shape.elementCount, clipped: clipped, fallback: fallback,
        calibrationTokens: start?.calibrationTokens, isScarce: start?.isScarce ?? false))
    try graph.replace(id, with: .quantized(tensor))
  }

  func operations(on block: Block, of graph: ModelGraph, calibratedOn text: CalibrationExtent) -> Double {
    let targeted = graph.linears(of: block).filter { schemes[$0.weight] != nil }
    guard !targeted.isEmpty else { return 0 }
    let sum =
      WorkEstimate.statistics(of: block, in: graph, tokens: text.tokens) + graph.linearWeights(of: block) * 2 * WorkEstimate.searchedWeight
    guard block.kind != .head else { return sum }
    // A step goes forward, back to the weights, and to their inputs.
    return sum + 3 * graph.operations(of: block, tokens: pass.iterations * pass.batchWindows * text.windowLength)
  }
}
