/// What is known of a stored tensor before its bytes are read.
public struct TensorDescriptor: Sendable, Hashable {
  public let name: String
  public let dataType: DataType
  public let shape: Shape

  public init(name: String, dataType: DataType, shape: Shape) {
    self.name = name
    self.dataType = dataType
    self.shape = shape
  }

  /// Bytes of the tensor; nil when they are not whole or overflow.
  public var byteCount: Int? { shape.checkedElementCount.flatMap(dataType.byteCount(ofElements:)) }
}

/// A parameter's values as a model sees them: dense, or quantized in the canonical form.
public enum Weight: Sendable {
  case dense(Tensor)
  case quantized(QuantizedTensor)

  public var shape: Shape {
    switch self {
    case .dense(let tensor): tensor.shape
    case .quantized(let tensor): tensor.shape
    }
  }

  /// The values in float32, whatever the storage; nil for a dense tensor that is not floating point.
  public func float32() -> Tensor? {
    switch self {
    case .dense(let tensor): tensor.asFloat32()
    case .quantized(let tensor): tensor.dequantized()
    }
  }
}

/// How a parameter is stored, known without reading it.
public enum WeightStorage: Sendable, Hashable {
  case dense(DataType)
  case quantized(QuantizationScheme)
}

/// A checkpoint as the model graph sees it: parameters by their logical names (`model.layers.0.mlp.up_proj.weight`), read one at a time.
///
/// A quantized checkpoint presents `<module>.weight` with its logical shape, however many tensors the file keeps for it.
public protocol WeightSource: Sendable {
  /// All logical names, sorted by their bytes.
  var names: [String] { get }
  /// Logical shape and storage; nil when there is no such parameter.
  func describe(_ name: String) -> (shape: Shape, storage: WeightStorage)?
  /// What the scales of a quantized parameter are stored as; nil when it has none.
  func scaleType(_ name: String) -> DataType?
  /// Bytes of the tensors that hold one parameter, scales and all; nil when there is no such parameter.
  func storedByteCount(_ name: String) -> Int?
  /// Reads one parameter. Throws a `Failure` that names the file and the tensor.
  func load(_ name: String) throws -> Weight
  /// The same for a reader who looks at some rows alone: the others may hold anything.
  func load(_ name: String, rows: Range<Int>) throws -> Weight
  /// The digest of what ``load(_:)`` gives.
  func digest(_ name: String) throws -> String
  /// Lets the memory go that reading one parameter took, where it can be read again; tensors in use stay valid.
  func release(_ name: String)
}

extension WeightSource {
  public func release(_ name: String) {}

  public func load(_ name: String, rows: Range<Int>) throws -> Weight { try load(name) }

  public func scaleType(_ name: String) -> DataType? { nil }

  public func digest(_ name: String) throws -> String { try load(name).digest() }

  /// Of a parameter that is one dense tensor; sources that keep any other way say so themselves.
  public func storedByteCount(_ name: String) -> Int? {
    guard let (shape, storage) = describe(name), case .dense(let type) = storage else { return nil }
    return shape.checkedElementCount.flatMap(type.byteCount(ofElements:))
  }
}
