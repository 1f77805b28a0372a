import Foundation
import Tensors

/// One GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), mapped into memory: version 2 or 3, little-endian.
///
/// Opening reads the metadata and the list of tensors and checks both by the rules of llama.cpp, the reference; values stay in the file.
/// Bytes behind the last tensor are passed over, as the reference does.
public struct GGUFFile: Sendable {
  public let file: URL
  public let version: Int
  public let metadata: GGUFMetadata
  /// In the order of the file.
  public let tensors: [GGUFTensor]
  /// Tensors begin at multiples of it.
  public let alignment: Int
  /// False for a file that ends behind its header, though the header has tensors.
  public let holdsValues: Bool

  let mapping: MappedFile

  /// DeepSeek-V3 has 1 100, and would have 46 000 if its experts were not stacked.
  static let tensorLimit = 1 << 17
  /// Files have about fifty.
  static let pairLimit = 1 << 16

  /// Opens and checks a file.
  /// - Parameter extent: whether a file is accepted that ends where its data would begin. One that holds a part of its data never is.
  public init(_ file: URL, extent: CheckpointExtent = .complete) throws(CheckpointError) {
    let mapping = try MappedFile(file)
    var cursor = GGUFCursor(mapping.bytes, file: file)
    version = try Self.version(&cursor)
    // A tensor takes a name's length, a rank, a type and an offset; a pair a key of one letter, a type and a byte.
    let tensorCount = try cursor.count(of: 24, atMost: Self.tensorLimit, "the number of tensors")
    let pairCount = try cursor.count(of: 14, atMost: Self.pairLimit, "the number of metadata")
    metadata = try cursor.metadata(count: pairCount)
    guard let alignment = GGUFAlignment.value(metadata) else {
      throw cursor.malformed("\"\(GGUFAlignment.key)\" is no uint32 that is a power of two, at most \(GGUFAlignment.limit)")
    }
    var listed: [Listed] = []
    var names: Set<TensorName> = []
    for number in 0..<tensorCount {
      let tensor = try Self.tensor(number, &cursor)
      guard names.insert(TensorName(tensor.name)).inserted else { throw cursor.malformed("it is there twice", tensor: tensor.name) }
      listed.append(tensor)
    }
    guard let start = GGUFAlignment.round(cursor.position, to: alignment) else { throw cursor.malformed("it is too large") }
    let mayEnd = extent == .headers && (cursor.remaining == 0 || mapping.bytes.count == start)
    tensors = try Self.place(listed, start: start, alignment: alignment, size: mayEnd ? nil : mapping.bytes.count, cursor)
    holdsValues = tensors.allSatisfy { $0.range.upperBound <= mapping.bytes.count }
    self.file = file
    self.alignment = alignment
    self.mapping = mapping
  }

  private static func version(_ cursor: inout GGUFCursor) throws(CheckpointError) -> Int {
    guard cursor.remaining >= 4, try cursor.take(4, "the signature").elementsEqual("GGUF".utf8) else {
      throw CheckpointError.malformed(
        file: cursor.file, "it does not begin with \"GGUF\"", remedy: "it is damaged or no GGUF file: fetch it again")
    }
    let version: UInt32 = try cursor.number("the version")
    if version & 0xFFFF == 0, version != 0 {
      throw CheckpointError.malformed(
        file: cursor.file, "it is big-endian", remedy: "take the little-endian file, or turn it with gguf_convert_endian.py")
    }
    guard version == 2 || version == 3 else {
      throw CheckpointError.malformed(
        file: cursor.file, "it is of version \(version) of GGUF; versions 2 and 3 are read", remedy: "convert the model again")
    }
    return Int(version)
  }

  /// A tensor before its offset is checked.
  private struct Listed {
    let name: String
    let type: GGUFType
    let dimensions: [Int]
    let byteCount: Int
    let offset: UInt64
  }

  private static func tensor(_ number: Int, _ cursor: inout GGUFCursor) throws(CheckpointError) -> Listed {
    let name = try cursor.name("the name of tensor \(number)")
    guard name.utf8.count < GGUFTensor.nameLimit else {
      throw cursor.malformed("its name has \(name.utf8.count) bytes, not fewer than \(GGUFTensor.nameLimit)", tensor: name)
    }
    let what = "tensor \(name)"
    let rank: UInt32 = try cursor.number(what)
    guard rank <= GGUFTensor.rankLimit else {
      throw cursor.malformed("it has \(rank) dimensions, more than \(GGUFTensor.rankLimit)", tensor: name)
    }
    var dimensions: [Int] = []
    for _ in 0..<rank {
      let size: UInt64 = try cursor.number(what)
      guard let size = Int(exactly: size) else { throw cursor.malformed("a dimension is \(size)", tensor: name) }
      dimensions.insert(size, at: 0)
    }
    let code: UInt32 = try cursor.number(what)
    guard let type = GGUFType(rawValue: code) else {
      let (problem, remedy) = GGUFType.unknown(code)
      throw CheckpointError.malformed(file: cursor.file, tensor: name, problem, remedy: remedy)
    }
    let (bytes, problem) = GGUFTensor.byteCount(type, dimensions)
    guard let bytes else { throw cursor.malformed(problem, tensor: name) }
    return Listed(name: name, type: type, dimensions: dimensions, byteCount: bytes, offset: try cursor.number(what))
  }

  /// Checks that each tensor begins where the one before ends.
  /// - Parameter size: the bytes of the file; nil where it holds its header alone.
  private static func place(
    _ listed: [Listed], start: Int, alignment: Int, size: Int?, _ cursor: GGUFCursor
  ) throws(CheckpointError) -> [GGUFTensor] {
    var tensors: [GGUFTensor] = []
    tensors.reserveCapacity(listed.count)
    var offset = 0
    for tensor in listed {
      guard tensor.offset == UInt64(offset) else {
        throw cursor.malformed("its offset is \(tensor.offset), the tensors before it end at \(offset)", tensor: tensor.name)
      }
      let (begin, pastFile) = start.addingReportingOverflow(offset)
      let (end, pastEnd) = begin.addingReportingOverflow(tensor.byteCount)
      guard !pastFile, !pastEnd, let next = GGUFAlignment.round(offset + tensor.byteCount, to: alignment) else {
        throw cursor.malformed("its end is beyond every file", tensor: tensor.name)
      }
      if let size, end > size {
        throw CheckpointError.malformed(
          file: cursor.file, tensor: tensor.name, "it is truncated: the tensor ends at byte \(end), the file at \(size)",
          remedy: "fetch it again")
      }
      tensors.append(GGUFTensor(name: tensor.name, type: tensor.type, dimensions: tensor.dimensions, range: begin..<end))
      offset = next
    }
    return tensors
  }
}
