import Diagnostics
import Execution
import ModelGraph
import Tensors

/// AWQ at work: first the factors of every input of the block, then its layers.
struct ActivationAwareWorker: BlockPass {
  let pass: ActivationAware
  let schemes: [ParameterID: QuantizationScheme]
  var record = PassRecord(pass: ActivationAware.identifier)

  var plan: [ParameterID: WeightStorage] { schemes.mapValues(WeightStorage.quantized) }

  mutating func apply(to block: Block, of graph: inout ModelGraph, in context: PassContext) throws {
    let targeted = graph.linears(of: block).filter { schemes[$0.weight] != nil }
    guard !targeted.isEmpty else { return }
    guard let calibration = context.calibration else {
      throw CompressionError(block.name, "cannot be calibrated", remedy: "give --calibration", kind: .usage)
    }
    let statistics = try calibration.statistics([.gram, .columns], in: graph)
    let (inputs, skipped) = FoldableInput.all(in: block, of: graph)
    record.warnings += skipped.map { "\($0.module): searched without factors: \($0.reason)" }
    record.warnOfDeadInputs(in: block, readBy: targeted, statistics, consequence: ImportanceRounding.deadInputs)
    for input in inputs {
      guard let found = statistics[input.value], let gram = try found.gram(pool: context.pool) else {
        throw CompressionError(input.readers.first?.node.scope ?? block.name, "was not reached by calibration", kind: .badData)
      }
      var search = FactorSearch(
        input: input, meanMagnitude: found.meanMagnitude, meanSquare: found.meanSquare, gram: gram.symmetric(pool: context.pool),
        steps: pass.steps, pool: context.pool)
      try search.sample(input.readers.compactMap { node, id in schemes[id].map { (id, $0) } }, outputs: pass.sampledOutputs, of: graph)
      guard let factors = try search.best() else { continue }
      try input.fold(factors, into: &graph, in: context)
      record.rescaled += input.changedModules
    }
    for (node, id) in targeted {
      guard let scheme = schemes[id] else { continue }
      record.layers.append(
        try ImportanceRounding.quantize(
          node, id, as: scheme, statistics: statistics[node.inputs[0]], in: &graph, pool: context.pool))
    }
  }

  func operations(on block: Block, of graph: ModelGraph, calibratedOn text: CalibrationExtent) -> Double {
    let targeted = graph.linears(of: block).filter { schemes[$0.weight] != nil }
    guard !targeted.isEmpty else { return 0 }
    let weights = graph.linearWeights(of: block)
    var inputs: [ValueID: (rows: Int, columns: Int)] = [:]
    for (node, weight) in targeted {
      let shape = graph[weight].shape
      inputs[node.inputs[0], default: (0, shape[shape.rank - 1])].rows += shape[0]
    }
    let trials = inputs.values.reduce(0) {
      $0 + Double(pass.steps + 1) * WorkEstimate.factorTrial(rows: min($1.rows, pass.sampledOutputs), columns: $1.columns)
    }
    return WorkEstimate.statistics(of: block, in: graph, tokens: text.tokens) + weights * WorkEstimate.searchedWeight + trials
  }
}
