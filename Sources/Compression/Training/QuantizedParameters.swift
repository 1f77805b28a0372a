import Execution
import ModelGraph
import Tensors
import Training

/// What quantization-aware training trains: variables from which quantized weights follow.
public protocol QuantizedParameters: Parametrization {
  /// What the weights are now, as they will be stored, and how many were clamped by more than rounding.
  func tensors(pool: ThreadPool) throws(CompressionError) -> [ParameterID: (tensor: QuantizedTensor, clipped: Int)]
  /// The gains of norms that are trained beside them.
  var gainIDs: [ParameterID] { get }
}

extension QuantizedParameters {
  /// Everything as it is now, in the types that the model keeps it in.
  package func trained(for graph: ModelGraph, pool: ThreadPool) throws -> TrainedWeights {
    var gains: [ParameterID: Tensor] = [:]
    for id in gainIDs {
      guard let values = values[id] else { continue }
      gains[id] = values.tensor(graph[id].shape).converted(to: graph[id].nativeType ?? .float32)
    }
    return TrainedWeights(weights: try tensors(pool: pool), gains: gains)
  }
}
