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
  /// The model as training begins: quantized where asked.
  let base: ModelGraph
  /// The model that runs: with adapters.
  let graph: ModelGraph
  let adapters: [AttachedAdapter]
  let parametrization: any Parametrization

  init(_ run: FinetuneRun) throws {
    var graph = run.model.graph
    if let pass = run.base { graph = try Self.quantized(graph, by: pass, run) }
    base = graph
    switch run.settings.method {
    case .lora:
      adapters = try run.settings.adaptation.attach(to: &graph, seed: run.settings.seed, pool: run.interpreter.pool)
      parametrization = try AdapterParameters(adapters, of: graph, upRate: run.settings.upRate)
    case .full:
      adapters = []
      parametrization = try DirectParameters(graph.parameterIDs, of: graph)
    }
    self.graph = graph
  }

  private static func quantized(_ source: ModelGraph, by pass: any CompressionPass, _ run: FinetuneRun) throws -> ModelGraph {
    var graph = try Recipe(passes: [pass]).prepare(source, using: PassResources(pool: run.interpreter.pool))
    let context = PassContext(interpreter: run.interpreter, seed: run.settings.seed)
    var workers = try [pass].begin(on: graph, in: context).workers
    for block in graph.blocks {
      try Interruption.check()
      for index in workers.indices { try workers[index].apply(to: block, of: &graph, in: context) }
    }
    return graph
  }

  var trainedParameters: Int { parametrization.variables.reduce(0) { $0 + $1.values.rows * $1.values.columns } }

  /// The model with the variables as they are now, for what reads graphs.
  func trained() throws -> ModelGraph {
    var graph = graph
    for (id, values) in parametrization.values {
      try graph.replace(id, with: .dense(values.tensor(graph[id].shape)))
    }
    return graph
  }
}
