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
    for input in inputs {
      guard let found = statistics[input.value], let gram = found.gram else { continue }
      var search = FactorSearch(
        input: input, meanMagnitude: found.meanMagnitude, meanSquare: found.meanSquare, gram: gram.symmetric(pool: context.pool),
        steps: pass.steps, pool: context.pool)
      try search.sample(input.readers.compactMap { node, id in schemes[id].map { (id, $0) } }, outputs: pass.sampledOutputs, of: graph)
      guard let factors = try search.best() else { continue }
      try input.fold(factors, into: &graph, in: context)
      record.rescaled += input.changedModules
    }
    for (node, id) in targeted {
      guard let scheme = schemes[id], case .dense(let tensor) = try graph[id].load() else { continue }
      var importance = statistics[node.inputs[0]]?.meanSquare
      var fallback: String?
      if importance?.contains(where: { $0 > 0 }) != true {
        importance = nil
        fallback = "no activation reached it: every weight counts alike"
      }
      let weight = WeightRows.tensor(tensor)
      let grids = try GridTable(
        searching: weight, named: graph[id].name, scheme: scheme, importance: importance, elements: .imatrix,
        scaleType: graph[id].scaleType, pool: context.pool)
      let result = try grids.quantize(weight, named: graph[id].name, pool: context.pool)
      record.layers.append(
        PassRecord.Layer(
          module: node.scope, scheme: scheme, weights: tensor.shape.elementCount, clipped: result.clipped, fallback: fallback))
      try graph.replace(id, with: .quantized(result.tensor))
    }
  }
}
