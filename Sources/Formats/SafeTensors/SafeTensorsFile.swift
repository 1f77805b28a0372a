import Foundation
import Tensors

/// One `.safetensors` file, mapped into memory: tensors are views of the file and cost nothing until they are read.
///
/// Layout: a 64-bit little-endian length, that many bytes of JSON, then the data. Alignment is never assumed.
/// `MappedFile` says what happens when the file changes while it is open.
public struct SafeTensorsFile: Checkpoint {
  public let file: URL
  private let header: SafeTensorsHeader
  private let mapping: MappedFile
  private let dataStart: Int
  /// False for a file that ends behind its header, though the header has tensors.
  public let holdsValues: Bool

  /// Opens and checks a file; the values are not read.
  /// - Parameter extent: whether a file is accepted that ends exactly behind its header. One that holds a part of its data never is.
  public init(_ file: URL, extent: CheckpointExtent = .complete) throws(CheckpointError) {
    let mapping = try MappedFile(file)
    let bytes = mapping.bytes
    guard bytes.count >= 8 else {
      throw CheckpointError.malformed(file: file, "it has \(bytes.count) bytes, too few for a safetensors file")
    }
    let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    guard length <= UInt64(SafeTensorsHeader.maximumByteCount) else {
      throw CheckpointError.malformed(
        file: file, "its header claims \(length) bytes, more than \(SafeTensorsHeader.maximumByteCount)",
        remedy: "it is damaged or no safetensors file: fetch it again")
    }
    let dataStart = 8 + Int(length)
    guard dataStart <= bytes.count else {
      throw CheckpointError.malformed(
        file: file, "it is truncated: its header claims \(length) bytes, the file has \(bytes.count)", remedy: "fetch it again")
    }
    let dataCount = bytes.count - dataStart
    let mayEnd = extent == .headers && dataCount == 0
    header = try SafeTensorsHeader(
      parsing: UnsafeRawBufferPointer(rebasing: bytes[8..<dataStart]), dataCount: mayEnd ? nil : dataCount, file: file)
    holdsValues = dataCount == header.dataCount
    self.file = file
    self.mapping = mapping
    self.dataStart = dataStart
  }

  public var descriptors: [TensorDescriptor] { header.table.entries.map(\.value.descriptor) }
  public var files: [URL] { [file] }
  /// `__metadata__`; empty when there is none.
  public var metadata: [String: String] { header.metadata }

  public func descriptor(_ name: String) -> TensorDescriptor? { header.table[name]?.descriptor }

  public func tensor(_ name: String) throws(CheckpointError) -> Tensor {
    guard let entry = header.table[name] else { throw CheckpointError.missingTensor(name, in: file) }
    guard
      let tensor = Tensor(
        viewing: mapping, offset: dataStart + entry.range.lowerBound, byteCount: entry.range.count,
        dataType: entry.descriptor.dataType, shape: entry.descriptor.shape)
    else {
      throw CheckpointError.malformed(
        file: file, tensor: name, holdsValues ? "its range lies outside the file" : "the file holds its header alone",
        remedy: holdsValues ? "" : "fetch the whole file; headers are enough for --dry-run only")
    }
    return tensor
  }

  /// Tells the system that a tensor will be read soon, so that it reads ahead.
  public func prefetch(_ name: String) { advise(.willNeed, name) }

  /// Gives the memory of a tensor back: its pages leave the process and are read from the file again when they are touched after all.
  /// Streaming calls it behind itself. Tensors that look into the file stay valid.
  public func release(_ name: String) { advise(.doNotNeed, name) }

  private func advise(_ advice: MappedFile.Advice, _ name: String) {
    guard let range = header.table[name]?.range else { return }
    mapping.advise(advice, dataStart + range.lowerBound..<dataStart + range.upperBound)
  }
}
