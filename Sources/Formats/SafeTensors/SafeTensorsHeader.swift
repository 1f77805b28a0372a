import Foundation
import StructuredData
import Tensors

/// The JSON at the start of a safetensors file: which bytes of the file belong to which tensor.
struct SafeTensorsHeader: Sendable {
  struct Entry: Sendable {
    let descriptor: TensorDescriptor
    /// Byte offsets relative to the end of the header.
    let range: Range<Int>
  }

  /// Longest header that readers accept, in bytes.
  static let maximumByteCount = 100_000_000
  static let metadataKey = "__metadata__"

  let table: NameTable<Entry>
  let metadata: [String: String]
  /// Bytes that the tensors take together.
  let dataCount: Int

  /// Reads and checks a header. Every rule of the format is enforced: the tensors cover the `dataCount` bytes of data exactly, without a
  /// hole or an overlap, and each range is as long as type and shape need. The reference reader accepts a name that occurs twice; this
  /// one does not.
  /// - Parameter dataCount: nil where there is no data to compare with.
  init(parsing json: UnsafeRawBufferPointer, dataCount: Int?, file: URL) throws(CheckpointError) {
    let document: JSONValue
    do throws(JSONError) { document = try JSONValue(parsing: json) } catch {
      throw CheckpointError.malformed(file: file, "its header is not valid JSON: \(error.problem)", remedy: Self.remedy)
    }
    guard let object = document.object else {
      throw CheckpointError.malformed(file: file, "its header is not a JSON object", remedy: Self.remedy)
    }
    var entries: [NameTable<Entry>.Entry] = []
    entries.reserveCapacity(object.count)
    var metadata: [String: String] = [:]
    for member in object.members {
      if member.key == Self.metadataKey {
        metadata = try Self.metadata(member.value, file: file)
      } else {
        entries.append(.init(name: member.key, value: try Self.entry(member.key, member.value, file: file)))
      }
    }
    self.dataCount = try Self.checkCover(entries.map(\.value), dataCount: dataCount, file: file)
    table = NameTable(entries)
    self.metadata = metadata
  }

  private static let remedy = "it is damaged or no safetensors file: fetch it again"

  private static func metadata(_ value: JSONValue, file: URL) throws(CheckpointError) -> [String: String] {
    if value.isNull { return [:] }
    guard let object = value.object else {
      throw CheckpointError.malformed(file: file, "\"\(metadataKey)\" in its header is not an object", remedy: remedy)
    }
    var metadata: [String: String] = [:]
    for member in object.members {
      guard let text = member.value.string else {
        let key = CheckpointError.shortened(member.key)
        throw CheckpointError.malformed(file: file, "the value of \"\(key)\" in \"\(metadataKey)\" is not a string", remedy: remedy)
      }
      metadata[member.key] = text
    }
    return metadata
  }

  private static func entry(_ name: String, _ value: JSONValue, file: URL) throws(CheckpointError) -> Entry {
    func malformed(_ problem: String) -> CheckpointError {
      CheckpointError.malformed(file: file, tensor: name, problem, remedy: remedy)
    }
    guard let typeName = value["dtype"]?.string else { throw malformed("its header entry has no \"dtype\"") }
    guard let type = DataType(rawValue: typeName) else {
      throw malformed("its type \"\(CheckpointError.shortened(typeName))\" is unknown")
    }
    guard let dimensions = value["shape"].flatMap(sizes) else { throw malformed("its \"shape\" is not a list of sizes") }
    guard let offsets = value["data_offsets"].flatMap(sizes), offsets.count == 2, offsets[0] <= offsets[1] else {
      throw malformed("its \"data_offsets\" are not a start and an end")
    }
    let descriptor = TensorDescriptor(name: name, dataType: type, shape: Shape(dimensions))
    guard let needed = descriptor.byteCount else {
      throw malformed("\(typeName) \(descriptor.shape) has no whole or representable number of bytes")
    }
    guard needed == offsets[1] - offsets[0] else {
      throw malformed("\(typeName) \(descriptor.shape) needs \(needed) bytes, its range has \(offsets[1] - offsets[0])")
    }
    return Entry(descriptor: descriptor, range: offsets[0]..<offsets[1])
  }

  /// Numbers written as integers that are not negative; `2.0` is no size.
  private static func sizes(_ value: JSONValue) -> [Int]? {
    guard let elements = value.array else { return nil }
    var sizes: [Int] = []
    sizes.reserveCapacity(elements.count)
    for element in elements {
      guard case .integer(let number) = element, let size = Int(exactly: number), size >= 0 else { return nil }
      sizes.append(size)
    }
    return sizes
  }

  /// - Returns: the bytes that the tensors take together.
  private static func checkCover(_ entries: [Entry], dataCount: Int?, file: URL) throws(CheckpointError) -> Int {
    var position = 0
    let ordered = entries.sorted { ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound) }
    for entry in ordered {
      guard entry.range.lowerBound == position else {
        let what = entry.range.lowerBound < position ? "overlaps the tensor before it" : "leaves a hole before it"
        throw CheckpointError.malformed(
          file: file, tensor: entry.descriptor.name, "its data \(what): it starts at \(entry.range.lowerBound), not at \(position)",
          remedy: remedy)
      }
      position = entry.range.upperBound
    }
    guard let dataCount, position != dataCount else { return position }
    let what = position < dataCount ? "it has \(dataCount - position) bytes too many" : "it is truncated"
    throw CheckpointError.malformed(
      file: file, "\(what): its tensors take \(position) bytes, the file holds \(dataCount)", remedy: remedy)
  }
}
