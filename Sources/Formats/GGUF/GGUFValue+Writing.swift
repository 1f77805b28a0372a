import Foundation

extension [UInt8] {
  mutating func append<Number: FixedWidthInteger>(number: Number) {
    Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
  }

  mutating func append(text: String) {
    append(number: UInt64(text.utf8.count))
    append(contentsOf: text.utf8)
  }

  mutating func append(_ entry: (key: String, value: GGUFValue), file: URL) throws(CheckpointError) {
    guard !entry.key.isEmpty, entry.key.utf8.count <= GGUFCursor.keyLimit else {
      throw CheckpointError.usage(file: file, "a key of the metadata has \(entry.key.utf8.count) bytes, not 1 to \(GGUFCursor.keyLimit)")
    }
    append(text: entry.key)
    append(number: entry.value.type.rawValue)
    guard append(entry.value) else {
      throw CheckpointError.usage(file: file, "the elements of \"\(CheckpointError.shortened(entry.key))\" are not of one type")
    }
  }

  /// The value without its type; false for an array of elements of several types.
  private mutating func append(_ value: GGUFValue) -> Bool {
    switch value {
    case .uint8(let number): append(number)
    case .int8(let number): append(number: number)
    case .uint16(let number): append(number: number)
    case .int16(let number): append(number: number)
    case .uint32(let number): append(number: number)
    case .int32(let number): append(number: number)
    case .uint64(let number): append(number: number)
    case .int64(let number): append(number: number)
    case .float32(let number): append(number: number.bitPattern)
    case .float64(let number): append(number: number.bitPattern)
    case .bool(let flag): append(flag ? 1 : 0)
    case .string(let text): append(text: text)
    case .strings(let texts):
      appendArray(.string, texts.count)
      for text in texts { append(text: text) }
    case .int32s(let numbers):
      appendArray(.int32, numbers.count)
      for number in numbers { append(number: number) }
    case .float32s(let numbers):
      appendArray(.float32, numbers.count)
      for number in numbers { append(number: number.bitPattern) }
    case .array(let values):
      let type = values.first?.type ?? .int32
      appendArray(type, values.count)
      return values.allSatisfy { $0.type == type && append($0) }
    }
    return true
  }

  private mutating func appendArray(_ type: GGUFValueType, _ count: Int) {
    append(number: type.rawValue)
    append(number: UInt64(count))
  }
}

extension GGUFValue {
  /// The type that a file gives it.
  var type: GGUFValueType {
    switch self {
    case .uint8: .uint8
    case .int8: .int8
    case .uint16: .uint16
    case .int16: .int16
    case .uint32: .uint32
    case .int32: .int32
    case .uint64: .uint64
    case .int64: .int64
    case .float32: .float32
    case .float64: .float64
    case .bool: .bool
    case .string: .string
    case .strings, .int32s, .float32s, .array: .array
    }
  }
}
