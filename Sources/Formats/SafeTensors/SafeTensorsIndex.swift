import Foundation
import StructuredData
import Tensors

/// `model.safetensors.index.json`: which file of a sharded checkpoint holds which tensor.
struct SafeTensorsIndex: Sendable {
  static let fileName = "model.safetensors.index.json"
  /// Largest index that is read, in bytes: as many as a header may have.
  static let maximumByteCount = SafeTensorsHeader.maximumByteCount

  let file: URL
  /// File names in the order of their bytes, each once.
  let fileNames: [String]
  /// The tensors in the order of the document, each once, with positions in `fileNames`.
  let holders: [(tensor: String, file: Int)]

  init(_ file: URL) throws(CheckpointError) {
    self.file = file
    let mapping = try MappedFile(file)
    guard mapping.bytes.count <= Self.maximumByteCount else {
      throw CheckpointError.malformed(file: file, "it has \(mapping.bytes.count) bytes, more than \(Self.maximumByteCount)")
    }
    let document: JSONValue
    do throws(JSONError) { document = try JSONValue(parsing: mapping.bytes) } catch {
      throw CheckpointError.malformed(file: file, "it is not valid JSON: \(error.problem)", remedy: "fetch it again")
    }
    guard let map = document["weight_map"]?.object, !map.isEmpty else {
      throw CheckpointError.malformed(file: file, "it has no \"weight_map\"", remedy: "fetch it again")
    }
    var pairs: [(String, String)] = []
    pairs.reserveCapacity(map.count)
    for member in map.members {
      guard let name = member.value.string else {
        throw CheckpointError.malformed(file: file, tensor: member.key, "its file name is not a string")
      }
      try Self.check(fileName: name, of: member.key, in: file)
      pairs.append((member.key, name))
    }
    let names = Set(pairs.map { TensorName($0.1) }).map(\.text).sorted { compareBytes($0, $1) < 0 }
    fileNames = names
    let positions = NameTable(names.enumerated().map { ($0.element, $0.offset) })
    holders = pairs.map { ($0.0, positions[$0.1] ?? 0) }
  }

  /// A map that could name `../../secrets` would make the reader open files outside the checkpoint.
  private static func check(fileName name: String, of tensor: String, in file: URL) throws(CheckpointError) {
    let forbidden = name.utf8.contains { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") || $0 < 0x20 }
    guard !name.isEmpty, !forbidden, name != ".", name != "..", name.utf8.count <= 255 else {
      throw CheckpointError.malformed(
        file: file, tensor: tensor, "its file \"\(CheckpointError.shortened(name))\" is not a plain file name",
        remedy: "shards must lie beside the index")
    }
  }
}
