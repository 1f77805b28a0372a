import Foundation
import StructuredData
import Tensors

/// A directory for the files of one test, removed afterwards.
final class SafeTensorsScratch {
  let directory: URL

  init() throws {
    directory = FileManager.default.temporaryDirectory.appendingPathComponent("safetensors-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  subscript(name: String) -> URL { directory.appendingPathComponent(name) }

  /// A file of these bytes.
  @discardableResult
  func file(_ name: String, _ bytes: [UInt8]) throws -> URL {
    try Data(bytes).write(to: self[name])
    return self[name]
  }

  /// A safetensors file with this header text, whatever it says.
  @discardableResult
  func file(_ name: String = "model.safetensors", header: String, data: [UInt8], length: UInt64? = nil) throws -> URL {
    let text = Array(header.utf8)
    let count = length ?? UInt64(text.count)
    return try file(name, withUnsafeBytes(of: count.littleEndian, Array.init) + text + data)
  }

  /// A well-formed file with these float32 vectors.
  @discardableResult
  func file(_ name: String, vectors: [String: [Float]]) throws -> URL {
    var document = JSONObject()
    var data: [UInt8] = []
    for (name, values) in vectors.sorted(by: { $0.key < $1.key }) {
      let start = data.count
      for value in values { data += withUnsafeBytes(of: value.bitPattern.littleEndian, Array.init) }
      document[name] = [
        "dtype": "F32", "shape": [.integer(Int64(values.count))],
        "data_offsets": [.integer(Int64(start)), .integer(Int64(data.count))],
      ]
    }
    return try file(name, header: JSONValue.object(document).text(pretty: false), data: data)
  }

  /// `model.safetensors.index.json` with this map.
  func index(_ map: [String: String]) throws {
    let document: JSONValue = [
      "metadata": ["total_size": 0],
      "weight_map": .object(map.sorted { $0.key < $1.key }.reduce(into: JSONObject()) { $0[$1.key] = .string($1.value) }),
    ]
    try file("model.safetensors.index.json", Array(document.text().utf8))
  }
}

extension Tensor {
  /// A copy of the bytes.
  var contents: [UInt8] { withUnsafeBytes { Array($0) } }
}

/// The description of what `body` throws, empty when it does not.
func message(_ body: () throws -> Void) -> String {
  do {
    try body()
    return ""
  } catch {
    return "\(error)"
  }
}
