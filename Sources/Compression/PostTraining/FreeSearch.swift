import Diagnostics
import Execution
import Tensors

/// The search of a scheme that no ``GridTable`` holds.
enum FreeSearch {
  case blocks(BlockSearch)
  case affine(AffineSearch)
  case floats(FloatSearch, scaleType: DataType)

  /// Nil where a grid table holds the scheme, or where there is none.
  /// - Parameter scaleType: what scales are stored as; float16 means GGUF's blocks where they are such.
  init?(_ scheme: QuantizationScheme, scaleType: DataType) {
    if let search = FloatSearch(scheme) {
      self = .floats(search, scaleType: scaleType)
    } else if scaleType == .float16 || scheme.scales != .direct || scheme.levels != .even, let search = BlockSearch(scheme) {
      self = .blocks(search)
    } else if let search = AffineSearch(scheme, scaleType: scaleType) {
      self = .affine(search)
    } else {
      return nil
    }
  }

  /// - Returns: the codes, and how many weights were clamped by more than rounding.
  func quantizeCounting(
    _ weight: WeightRows, named name: String, importance: [Float]? = nil, elements: ElementImportance = .column, pool: ThreadPool
  ) throws(CompressionError) -> (tensor: QuantizedTensor, clipped: Int) {
    let tensor = try quantize(weight, named: name, importance: importance, elements: elements, pool: pool)
    return (tensor, ClampedWeights.count(in: tensor, of: weight, pool: pool))
  }

  func quantize(
    _ weight: WeightRows, named name: String, importance: [Float]? = nil, elements: ElementImportance = .column, pool: ThreadPool
  ) throws(CompressionError) -> QuantizedTensor {
    switch self {
    case .blocks(let search):
      try search.quantize(weight, named: name, importance: importance, elements: elements, pool: pool)
    case .affine(let search):
      try search.quantize(weight, named: name, importance: importance, elements: elements, pool: pool)
    case .floats(let search, let scaleType):
      try search.quantize(weight, named: name, importance: importance, elements: elements, scaleType: scaleType, pool: pool)
    }
  }
}
