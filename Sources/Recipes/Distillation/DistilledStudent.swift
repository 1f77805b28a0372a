import Compression
import Execution
import ModelGraph
import Tensors
import Training

/// The model that learns: its variables, and what they come to as it would be written.
final class DistilledStudent {
  /// As it came.
  let source: ModelGraph
  let parameters: any Parametrization
  private let pool: ThreadPool

  /// A quantized model learns its codes and scales (quantization-aware distillation), any other one all of its parameters.
  init(_ graph: ModelGraph, pool: ThreadPool) throws {
    source = graph
    self.pool = pool
    if graph.parameters.contains(where: \.isQuantized) {
      parameters = try StepSizeParameters(of: graph, from: graph, scaleRate: 0.1, gainRate: 0.01, pool: pool)
    } else {
      parameters = try DirectParameters(graph.parameterIDs, of: graph)
    }
  }

  /// The rate that suits its variables: steps of a grid are what those of a quantized model are measured in.
  func rate(_ rate: Float) -> Float { isQuantized ? rate / 2 : rate }

  var isQuantized: Bool { parameters is any QuantizedParameters }

  var trainedParameters: Int { parameters.variables.reduce(0) { $0 + $1.values.rows * $1.values.columns } }

  /// The model with its variables as they are, in the types that it is written in.
  func current() throws -> ModelGraph {
    if let quantized = parameters as? any QuantizedParameters {
      return try quantized.trained(for: source, pool: pool).applied(to: source)
    }
    var graph = source
    for (id, values) in parameters.values {
      guard let tensor = values.tensor(graph[id].shape).converted(to: graph[id].nativeType ?? .float32) else { continue }
      try graph.replace(id, with: .dense(tensor))
    }
    return graph
  }
}
