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
}
