/// The number that stands for the type of a value.
enum GGUFValueType: UInt32 {
  case uint8, int8, uint16, int16, uint32, int32, float32, bool, string, array, uint64, int64, float64

  /// Bytes of the least value.
  var leastByteCount: Int {
    switch self {
    case .uint8, .int8, .bool: 1
    case .uint16, .int16: 2
    case .uint32, .int32, .float32: 4
    case .string, .uint64, .int64, .float64: 8
    case .array: 12
    }
  }
}

extension GGUFCursor {
  /// Longest key that the format allows, in bytes.
  static let keyLimit = 65535
  /// The largest vocabularies have 300 000 tokens, each with a text, a score and a type, and 600 000 merges.
  static let elementsLimit = 1 << 24
  /// Arrays of other elements than texts, int32 and float32 take several times their bytes in memory; all that a file has are short.
  static let otherElementsLimit = 1 << 20
  private static let depthLimit = 4

  /// All pairs of key and value.
  mutating func metadata(count: Int) throws(CheckpointError) -> GGUFMetadata {
    var metadata = GGUFMetadata()
    for number in 0..<count {
      let key = try name("key \(number) of the metadata")
      guard !key.isEmpty, key.utf8.count <= Self.keyLimit else {
        throw malformed("key \(number) of the metadata has \(key.utf8.count) bytes, not 1 to \(Self.keyLimit)")
      }
      guard metadata[key] == nil else { throw malformed("the key \"\(CheckpointError.shortened(key))\" is there twice") }
      metadata[key] = try value(type(key), key, depth: 0)
    }
    return metadata
  }

  private mutating func type(_ key: String) throws(CheckpointError) -> GGUFValueType {
    let number: UInt32 = try self.number(Self.subject(key))
    guard let type = GGUFValueType(rawValue: number) else {
      throw malformed("\(Self.subject(key)) has the type \(number), which GGUF does not have")
    }
    return type
  }

  private static func subject(_ key: String) -> String { "the value of \"\(CheckpointError.shortened(key))\"" }

  private mutating func value(_ type: GGUFValueType, _ key: String, depth: Int) throws(CheckpointError) -> GGUFValue {
    switch type {
    case .uint8: return .uint8(try number(Self.subject(key)))
    case .int8: return .int8(try number(Self.subject(key)))
    case .uint16: return .uint16(try number(Self.subject(key)))
    case .int16: return .int16(try number(Self.subject(key)))
    case .uint32: return .uint32(try number(Self.subject(key)))
    case .int32: return .int32(try number(Self.subject(key)))
    case .uint64: return .uint64(try number(Self.subject(key)))
    case .int64: return .int64(try number(Self.subject(key)))
    case .float32: return .float32(Float(bitPattern: try number(Self.subject(key))))
    case .float64: return .float64(Double(bitPattern: try number(Self.subject(key))))
    case .bool:
      let byte: UInt8 = try number(Self.subject(key))
      return .bool(byte != 0)
    case .string: return .string(String(decoding: try text(Self.subject(key)), as: UTF8.self))
    case .array: return try array(key, depth: depth)
    }
  }

  private mutating func array(_ key: String, depth: Int) throws(CheckpointError) -> GGUFValue {
    guard depth < Self.depthLimit else { throw malformed("\(Self.subject(key)) nests arrays deeper than \(Self.depthLimit)") }
    let type = try type(key)
    let count = try count(of: type.leastByteCount, atMost: elementsLeft, Self.subject(key))
    elementsLeft -= count
    switch type {
    case .string:
      var values: [String] = []
      values.reserveCapacity(min(count, 4096))
      for _ in 0..<count { values.append(String(decoding: try text(Self.subject(key)), as: UTF8.self)) }
      return .strings(values)
    case .int32:
      let bytes = try take(count * 4, Self.subject(key))
      return .int32s((0..<count).map { Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Int32.self)) })
    case .float32:
      let bytes = try take(count * 4, Self.subject(key))
      return .float32s(
        (0..<count).map { Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self))) })
    default:
      guard count <= otherElementsLeft else {
        throw malformed("\(Self.subject(key)) has \(count) elements, more than \(otherElementsLeft)")
      }
      otherElementsLeft -= count
      var values: [GGUFValue] = []
      for _ in 0..<count { values.append(try value(type, key, depth: depth + 1)) }
      return .array(values)
    }
  }
}
