import Diagnostics
import Foundation
import Tensors
import Testing

@testable import Formats

/// Files that `HDF5Fixtures/make-fixtures.py` made with h5py, and the values it put into them.
enum HDF5Fixture {
  static func url(_ name: String) throws -> URL {
    try #require(Bundle.module.resourceURL).appendingPathComponent("HDF5Fixtures/\(name).h5")
  }

  static func open(_ name: String) throws -> HDF5Checkpoint { try HDF5Checkpoint(opening: url(name)) }

  /// Element i as the script defines it: (37 i mod 256) − 128.
  static func codes(_ count: Int) -> [Int] { (0..<count).map { $0 * 37 % 256 - 128 } }

  /// The little-endian bytes of the script's values in a type.
  static func bytes(_ type: DataType, count: Int) throws -> [UInt8] {
    try codes(count).flatMap { code -> [UInt8] in
      let float = Float(code) / 16
      switch type {
      case .int8, .int16, .int32, .int64: return littleEndian(UInt64(bitPattern: Int64(code)), type.bitWidth / 8)
      case .uint8, .uint16, .uint32, .uint64, .float8E4M3: return littleEndian(UInt64(code + 128), type.bitWidth / 8)
      case .float64: return littleEndian(Double(float).bitPattern, 8)
      case .float32: return littleEndian(UInt64(float.bitPattern), 4)
      case .bfloat16: return littleEndian(UInt64(float.bitPattern >> 16), 2)
      case .float16: return littleEndian(UInt64(halfBits(code)), 2)
      default: throw CheckpointError(kind: .usage, subject: "\(type)", problem: "the fixtures have no such type")
      }
    }
  }

  static func littleEndian(_ value: UInt64, _ count: Int) -> [UInt8] { (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }

  /// float16 of code / 16, put together from its parts: |code| is at most 128, so the fraction always fits.
  private static func halfBits(_ code: Int) -> UInt16 {
    guard code != 0 else { return 0 }
    let magnitude = UInt16(code.magnitude)
    let exponent = UInt16(15 - magnitude.leadingZeroBitCount)
    let fraction = (magnitude << (10 - exponent)) & 0x3FF
    return (code < 0 ? 0x8000 : 0) | (exponent + 15 - 4) << 10 | fraction
  }
}

extension Tensor {
  var bytes: [UInt8] { withUnsafeBytes { Array($0) } }
}

/// A directory of its own that goes away with the test.
final class TemporaryDirectory {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appendingPathComponent("hdf5-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }
}
