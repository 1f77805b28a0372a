import Diagnostics
import Execution
import ModelGraph
import Tensors

/// Quantizes other values in a layer's place just as a pass would quantize the layer's own: by the layer's scheme, its scales in the type
/// that the pass stores them in.
public struct LayerQuantizer {
  /// The model whose layers the pass is for, as the pass would find it.
  let source: ModelGraph
  private let schemes: [ParameterID: QuantizationScheme]
  private let rule: (Tensor, Parameter, QuantizationScheme) throws(CompressionError) -> QuantizedLayer

  /// - Parameters:
  ///   - pass: names the layers and their schemes, and how codes are found.
  ///   - graph: the model before it is quantized.
  /// - Throws: what the pass refuses about the model.
  public init(_ pass: some LayerwiseQuantization, of graph: ModelGraph, in context: PassContext) throws(CompressionError) {
    source = graph
    schemes = try pass.schemes(for: graph)
    rule = { (weight, parameter, scheme) throws(CompressionError) in
      try pass.quantize(weight, named: parameter.name, as: scheme, scaleType: parameter.scaleType ?? .float32, in: context)
    }
  }

  /// Whether the pass quantizes that parameter.
  func covers(_ id: ParameterID) -> Bool { schemes[id] != nil }

  /// Quantizes a matrix as what the parameter will be stored as.
  ///
  /// - Parameter weight: `[outputs, inputs]`, finite.
  /// - Returns: nil for a parameter that the pass leaves as it is.
  public func quantize(_ weight: Matrix, for id: ParameterID) throws(CompressionError) -> QuantizedLayer? {
    guard let scheme = schemes[id] else { return nil }
    let parameter = source[id]
    guard parameter.shape.dimensions == [weight.rows, weight.columns] else {
      throw CompressionError(
        parameter.name, "of \(parameter.shape) cannot become \(weight.rows) by \(weight.columns) values", kind: .usage)
    }
    return try rule(weight.tensor(parameter.shape), parameter, scheme)
  }
}
