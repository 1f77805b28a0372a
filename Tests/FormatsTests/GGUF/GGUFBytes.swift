import Foundation
import Testing

@testable import Formats

/// Writes the bytes of a GGUF file one after the other, sound or not.
struct GGUFBytes {
  var bytes: [UInt8] = []

  init(version: UInt32 = 3, tensors: UInt64 = 0, pairs: UInt64 = 0) {
    bytes = Array("GGUF".utf8)
    number(version)
    number(tensors)
    number(pairs)
  }

  mutating func number<Number: FixedWidthInteger>(_ value: Number) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func text(_ value: String) {
    number(UInt64(value.utf8.count))
    bytes += Array(value.utf8)
  }

  mutating func pair(_ key: String, _ type: UInt32, _ body: (inout GGUFBytes) -> Void) {
    text(key)
    number(type)
    body(&self)
  }

  /// `innermost` dimension first, as the file has them.
  mutating func tensor(_ name: String, innermost dimensions: [UInt64], type: UInt32 = 0, offset: UInt64 = 0) {
    text(name)
    number(UInt32(dimensions.count))
    for dimension in dimensions { number(dimension) }
    number(type)
    number(offset)
  }

  /// Ends the header and adds as many bytes of data.
  mutating func data(_ count: Int, alignment: Int = 32) {
    bytes += Array(repeating: 0, count: (alignment - bytes.count % alignment) % alignment)
    bytes += Array(repeating: 7, count: count)
  }

  /// One float32 tensor of four elements, and what a test changes.
  static func simple(pairs: UInt64 = 0, _ metadata: (inout GGUFBytes) -> Void = { _ in }) -> [UInt8] {
    var file = GGUFBytes(tensors: 1, pairs: pairs)
    metadata(&file)
    file.tensor("a", innermost: [4])
    file.data(16)
    return file.bytes
  }
}

/// The file that gguf-py wrote.
func ggufReference() throws -> URL {
  try #require(Bundle.module.url(forResource: "reference", withExtension: "gguf", subdirectory: "GGUFFixtures"))
}
