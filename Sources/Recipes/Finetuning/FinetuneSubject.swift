import Compression
import Diagnostics
import Execution
import Formats
import Foundation
import ModelGraph
import Tensors
import Training

/// What is trained: the model with its adapters, or with all its parameters copied.
struct FinetuneSubject {
  /// The model as training begins, without adapters: quantized where asked, and without what a start has moved into them.
  let base: ModelGraph
  /// The model that runs: with adapters.
  let graph: ModelGraph
  let adapters: [AttachedAdapter]
  let parametrization: any Parametrization

  init(_ run: FinetuneRun) throws {
    let (settings, pool) = (run.settings, run.interpreter.pool)
    let source = try settings.base.map { try Recipe(passes: [$0.pass]).prepare(run.model.graph, using: PassResources(pool: pool)) }
    var graph = source ?? run.model.graph
    let parameterCount = graph.parameterIDs.count
    if let pass = settings.base?.pass { graph = try Self.quantized(graph, by: pass, run) }
    switch settings.method {
    case .lora:
      var quantizer: LayerQuantizer?
      // Quantized again are the layers whose weights a start changes, one by one.
      if settings.adaptation.start != .zero, let pass = settings.base?.pass, let source {
        quantizer = try Self.quantizer(pass, of: source, run)
      }
      adapters = try settings.adaptation.attach(to: &graph, seed: settings.seed, pool: pool, quantizer: quantizer) { done, total in
        try run.progress?(.starting(layer: done, layers: total))
      }
      parametrization = try AdapterParameters(adapters, of: graph, upRate: settings.upRate)
    case .full:
      adapters = []
      parametrization = try DirectParameters(graph.parameterIDs, of: graph)
    }
    var base = source ?? run.model.graph
    // Adapters were added behind the model's own parameters, which a start may have changed.
    for id in graph.parameterIDs.prefix(parameterCount) {
      if case .memory(let weight) = graph[id].storage { try base.replace(id, with: weight) }
    }
    (self.base, self.graph) = (base, graph)
  }

  /// The pass's rule for one layer at a time.
  private static func quantizer(
    _ pass: some LayerwiseQuantization, of graph: ModelGraph, _ run: FinetuneRun
  ) throws -> LayerQuantizer {
    try LayerQuantizer(pass, of: graph, in: PassContext(interpreter: run.interpreter, seed: run.settings.seed))
  }

  private static func quantized(_ source: ModelGraph, by pass: any CompressionPass, _ run: FinetuneRun) throws -> ModelGraph {
    var graph = source
    let context = PassContext(interpreter: run.interpreter, seed: run.settings.seed)
    var workers = try [pass].begin(on: graph, in: context).workers
    for block in graph.blocks {
      try Interruption.check()
      for index in workers.indices { try workers[index].apply(to: block, of: &graph, in: context) }
      // What was read stays mapped otherwise: the whole model, beside the quantized one.
      for id in source.parameters(of: block) { source[id].releasePages() }
    }
    return graph
  }

  var trainedParameters: Int { parametrization.variables.reduce(0) { $0 + $1.values.rows * $1.values.columns } }
}
