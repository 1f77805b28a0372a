import Compression
import Diagnostics
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

  /// The learning rate of float weights that corresponds to the usual one of quantized ones.
  private static let usualRate: Float = 3e-4

  /// Whether everything that is not quantized is the same in both: transforms of weights and training leave their marks in gains.
  private static func agreesUnquantized(_ graph: ModelGraph, _ teacher: ModelGraph) throws -> Bool {
    try zip(graph.parameters, teacher.parameters).allSatisfy { try $0.isQuantized || $0.load().digest() == $1.load().digest() }
  }

  /// What a learning rate is multiplied by: weights that are quantized move in steps of their grids.
  let rate: Float

  /// A quantized model learns its codes and scales (quantization-aware distillation), any other one all of its parameters.
  /// - Parameter teacher: where a quantized model's weights before rounding are found, if it is that model; otherwise they begin as what their
  ///   codes say.
  init(_ graph: ModelGraph, teacher: ModelGraph, pool: ThreadPool) throws {
    source = graph
    self.pool = pool
    let widths = graph.parameters.compactMap { parameter -> Int? in
      if case .quantized(let scheme)? = parameter.weightStorage { scheme.bits } else { nil }
    }
    guard let bits = widths.min() else {
      parameters = try DirectParameters(graph.parameterIDs, of: graph)
      rate = 1
      return
    }
    let isOrigin =
      try graph.parameters.count == teacher.parameters.count && !teacher.parameters.contains(where: \.isQuantized)
      && zip(graph.parameters, teacher.parameters).allSatisfy { $0.name == $1.name && $0.shape == $1.shape }
      && Self.agreesUnquantized(graph, teacher)
    parameters = try StepSizeParameters(of: graph, from: isOrigin ? teacher : graph, scaleRate: 0.1, gainRate: 0.01, pool: pool)
    // In the middle of their cells weights have farther to go.
    rate = QuantizationAwareTraining.weightRate(bits: bits) / Self.usualRate * (isOrigin ? 1 : 8)
  }

  var isQuantized: Bool { parameters is any QuantizedParameters }

  var trainedParameters: Int { parameters.variables.reduce(0) { $0 + $1.values.rows * $1.values.columns } }

  /// The model with its variables as they are, in the types that it is written in.
  func current() throws -> ModelGraph {
    if let quantized = parameters as? any QuantizedParameters {
      return try quantized.trained(for: source, pool: pool).applied(to: source)
    }
    var graph = source
    for (id, values) in parameters.values {
      guard let tensor = values.tensor(graph[id].shape).converted(to: graph[id].nativeType ?? .float32) else {
        throw TrainingError(graph[id].name, "cannot be written in its type", kind: .badData)
      }
      try graph.replace(id, with: .dense(tensor))
    }
    return graph
  }
}
