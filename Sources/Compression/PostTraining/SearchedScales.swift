import Diagnostics
import Execution
import Tensors

/// Round-to-nearest on scales that were searched, whichever search a scheme has: a ``FreeSearch``, or a ``GridTable`` where none is.
enum SearchedScales {
  /// - Parameters:
  ///   - weight: `[outputs, inputs]`.
  ///   - importance: of each input, E[x²]; nil for all alike.
  ///   - elements: how the importance of an input becomes that of its weights.
  ///   - scaleType: what scales are stored as.
  /// - Returns: the codes, and how many weights were clamped by more than rounding.
  static func quantize(
    _ weight: WeightRows, named name: String, as scheme: QuantizationScheme, importance: [Float]? = nil,
    elements: ElementImportance = .column, scaleType: DataType, pool: ThreadPool
  ) throws(CompressionError) -> (tensor: QuantizedTensor, clipped: Int) {
    if let search = FreeSearch(scheme, scaleType: scaleType) {
      return try search.quantizeCounting(weight, named: name, importance: importance, elements: elements, pool: pool)
    }
    let result = try GridTable(
      searching: weight, named: name, scheme: scheme, importance: importance, elements: elements, scaleType: scaleType, pool: pool
    ).quantize(weight, named: name, pool: pool)
    return (result.tensor, result.clipped)
  }
}
