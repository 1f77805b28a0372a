import CKernels
import Diagnostics

/// Bytes that tensors look into: owned memory, or a file that is mapped. They never change after the tensor is made.
///
/// Subclass it to keep a mapping (or any other owner) alive for as long as a tensor looks into it.
open class TensorStorage: @unchecked Sendable {
  public let bytes: UnsafeRawBufferPointer
  public init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }
}

/// 64-byte aligned memory of its own, with a vector of slack, so that kernels may read whole ones.
final class OwnedStorage: TensorStorage, @unchecked Sendable {
  let mutableBytes: UnsafeMutableRawBufferPointer
  private let mappedBytes: Int

  /// - Parameter isCleared: whether it starts as zeros.
  init(byteCount: Int, isCleared: Bool = true) {
    // One vector of slack: a kernel may read (never write) past the last element.
    let needed = byteCount + 64
    var size: Int64 = 0
    var isZero: Int32 = 0
    let mapped = needed >= 1 << 22 ? dso_map_pages(Int64(needed), &size, &isZero) : nil
    mappedBytes = mapped == nil ? 0 : Int(size)
    let memory = mapped ?? UnsafeMutableRawPointer.allocate(byteCount: needed, alignment: 64)
    if isZero == 0 {
      let kept = isCleared ? 0 : byteCount
      (memory + kept).initializeMemory(as: UInt8.self, repeating: 0, count: needed - kept)
    }
    mutableBytes = UnsafeMutableRawBufferPointer(start: memory, count: byteCount)
    super.init(bytes: UnsafeRawBufferPointer(mutableBytes))
  }

  deinit {
    guard let base = mutableBytes.baseAddress else { return }
    if mappedBytes > 0 { dso_unmap_pages(base, Int64(mappedBytes)) } else { base.deallocate() }
  }
}

/// A dense row-major array: a type, a shape and the bytes, which may lie in a mapped file and need not be aligned.
public struct Tensor: Sendable {
  public let dataType: DataType
  public let shape: Shape
  private let storage: TensorStorage
  private let offset: Int
  /// How many bytes the elements take.
  public let byteCount: Int

  /// A view of existing bytes, nil unless shape and type need exactly `byteCount` bytes that lie inside the storage.
  public init?(viewing storage: TensorStorage, offset: Int, byteCount: Int, dataType: DataType, shape: Shape) {
    guard let count = shape.checkedElementCount, let needed = dataType.byteCount(ofElements: count),
      needed == byteCount, offset >= 0, offset <= storage.bytes.count, byteCount <= storage.bytes.count - offset
    else { return nil }
    self.dataType = dataType
    self.shape = shape
    self.storage = storage
    self.offset = offset
    self.byteCount = byteCount
  }

  /// A new tensor whose bytes `body` fills in.
  /// - Parameter isCleared: whether they start as zeros, else as anything: for a body that writes every byte that will be looked at.
  /// - Precondition: the shape is not negative and its size is representable.
  public init<E: Error>(
    dataType: DataType, shape: Shape, cleared isCleared: Bool = true, filling body: (UnsafeMutableRawBufferPointer) throws(E) -> Void
  ) throws(E) {
    guard let count = shape.checkedElementCount, let bytes = dataType.byteCount(ofElements: count) else {
      preconditionFailure("a tensor of \(dataType) \(shape) has no size")
    }
    let owned = OwnedStorage(byteCount: bytes, isCleared: isCleared)
    try body(owned.mutableBytes)
    self.dataType = dataType
    self.shape = shape
    storage = owned
    offset = 0
    byteCount = bytes
  }

  /// A float32 tensor of these values.
  public init(_ values: [Float], shape: Shape) {
    precondition(values.count == shape.elementCount)
    self.init(dataType: .float32, shape: shape) { bytes in
      values.withUnsafeBytes { bytes.copyMemory(from: $0) }
    }
  }

  /// The bytes, valid during `body` only.
  public func withUnsafeBytes<Result, E: Error>(
    _ body: (UnsafeRawBufferPointer) throws(E) -> Result
  ) throws(E) -> Result {
    defer { withExtendedLifetime(storage) {} }
    return try body(UnsafeRawBufferPointer(rebasing: storage.bytes[offset..<offset + byteCount]))
  }

  /// The same bytes under another shape of as many elements.
  public func reshaped(_ shape: Shape) -> Tensor? {
    Tensor(viewing: storage, offset: offset, byteCount: byteCount, dataType: dataType, shape: shape)
  }

  /// The same bytes as elements of another type of the same width; nil for other widths.
  package func reinterpreted(as type: DataType) -> Tensor? {
    guard type.bitWidth == dataType.bitWidth else { return nil }
    return Tensor(viewing: storage, offset: offset, byteCount: byteCount, dataType: type, shape: shape)
  }

  /// The same bytes as another type and shape that need exactly as many.
  package func reinterpreted(as type: DataType, _ shape: Shape) -> Tensor? {
    Tensor(viewing: storage, offset: offset, byteCount: byteCount, dataType: type, shape: shape)
  }

  /// Rows `range` of the outermost dimension, without a copy.
  public func rows(_ range: Range<Int>) -> Tensor? {
    guard shape.rank > 0, range.lowerBound >= 0, range.upperBound <= shape[0], shape[0] > 0 else { return nil }
    let rowBytes = byteCount / shape[0]
    return Tensor(
      viewing: storage, offset: offset + range.lowerBound * rowBytes, byteCount: range.count * rowBytes,
      dataType: dataType, shape: Shape([range.count] + shape.dimensions.dropFirst()))
  }
}

extension Tensor {
  /// The elements as float32. Narrower floats widen exactly; float64 rounds to nearest, ties to even.
  /// Nil for a type that is not a floating-point number.
  public func float32Values() -> [Float]? {
    guard dataType.isFloatingPoint else { return nil }
    let count = shape.elementCount
    // Of no elements the initializer would write the length into the empty array that all threads share.
    guard count > 0 else { return [] }
    return [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
      if let target = buffer.baseAddress {
        withUnsafeBytes { source in convertToFloat32(source, dataType, into: target, count: count) }
      }
      initialized = count
    }
  }

  /// The same values as a float32 tensor; itself when it is one already.
  public func asFloat32() -> Tensor? {
    if dataType == .float32 { return self }
    guard dataType.isFloatingPoint else { return nil }
    return Tensor(dataType: .float32, shape: shape) { target in
      guard let pointer = target.bindMemory(to: Float.self).baseAddress else { return }
      withUnsafeBytes { source in convertToFloat32(source, dataType, into: pointer, count: shape.elementCount) }
    }
  }

  /// The values rounded (to nearest, ties to even) to another floating-point type.
  public func converted(to type: DataType) -> Tensor? {
    if type == dataType { return self }
    guard let source = asFloat32() else { return nil }
    guard type == .float32 || type == .float16 || type == .bfloat16 else { return nil }
    if type == .float32 { return source }
    let count = shape.elementCount
    return Tensor(dataType: type, shape: shape) { target in
      source.withUnsafeBytes { bytes in
        guard let from = bytes.bindMemory(to: Float.self).baseAddress,
          let to = target.bindMemory(to: UInt16.self).baseAddress
        else { return }
        if type == .bfloat16 {
          dso_convert_f32_to_bf16(from, to, Int64(count))
        } else {
          dso_convert_f32_to_f16(from, to, Int64(count))
        }
      }
    }
  }
}

/// Rounds float32 values to a floating-point type of at most 32 bits, to nearest, ties to even.
/// - Parameter target: of as many bytes as they take.
package func convertFromFloat32(
  _ source: UnsafePointer<Float>, count: Int, _ type: DataType, into target: UnsafeMutableRawBufferPointer
) {
  guard let base = target.baseAddress, count > 0 else { return }
  switch type {
  case .float32: base.copyMemory(from: source, byteCount: count * 4)
  case .bfloat16: dso_convert_f32_to_bf16(source, base.assumingMemoryBound(to: UInt16.self), Int64(count))
  case .float16: dso_convert_f32_to_f16(source, base.assumingMemoryBound(to: UInt16.self), Int64(count))
  default: preconditionFailure("\(type) is not a floating-point type of at most 32 bits")
  }
}

/// Widens `count` elements; the source may be unaligned.
package func convertToFloat32(
  _ source: UnsafeRawBufferPointer, _ type: DataType, into target: UnsafeMutablePointer<Float>, count: Int
) {
  guard let base = source.baseAddress, count > 0 else { return }
  switch type {
  case .float32: UnsafeMutableRawPointer(target).copyMemory(from: base, byteCount: count * 4)
  case .bfloat16: dso_convert_bf16_to_f32(base, target, Int64(count))
  case .float16: dso_convert_f16_to_f32(base, target, Int64(count))
  case .float64: dso_convert_f64_to_f32(base, target, Int64(count))
  default: preconditionFailure("\(type) is not a floating-point type")
  }
}

extension Tensor {
  /// An int8 tensor of these values.
  public init(int8 values: [Int8], shape: Shape) {
    precondition(values.count == shape.elementCount)
    self.init(dataType: .int8, shape: shape) { bytes in values.withUnsafeBytes { bytes.copyMemory(from: $0) } }
  }
}

extension DataType {
  /// The nearest value (ties to even) of float32, float16 or bfloat16; NaN for the other types.
  public func rounded(_ value: Float) -> Float {
    Tensor([value], shape: [1]).converted(to: self)?.float32Values()?.first ?? .nan
  }
}
