/// A value of GGUF's metadata, in the type that the file gives it.
public enum GGUFValue: Sendable, Hashable {
  case uint8(UInt8)
  case int8(Int8)
  case uint16(UInt16)
  case int16(Int16)
  case uint32(UInt32)
  case int32(Int32)
  case uint64(UInt64)
  case int64(Int64)
  case float32(Float)
  case float64(Double)
  case bool(Bool)
  case string(String)
  /// Token texts are arbitrary bytes now and then: what is no UTF-8 stays a string of the replacement it was decoded with.
  case strings([String])
  case int32s([Int32])
  case float32s([Float])
  /// Arrays of any other element type, nested ones included.
  case array([GGUFValue])
}

/// Metadata in the order of the file.
public struct GGUFMetadata: Sendable, Hashable {
  public private(set) var entries: [(key: String, value: GGUFValue)] = []
  private var index: [String: Int] = [:]

  public init() {}

  /// The value of a key; setting nil takes the key away.
  public subscript(key: String) -> GGUFValue? {
    get { index[key].map { entries[$0].value } }
    set {
      switch (index[key], newValue) {
      case (let place?, let value?): entries[place].value = value
      case (nil, let value?):
        index[key] = entries.count
        entries.append((key, value))
      case (let place?, nil):
        entries.remove(at: place)
        index = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($0.element.key, $0.offset) })
      case (nil, nil): break
      }
    }
  }

  public static func == (first: Self, second: Self) -> Bool {
    first.entries.elementsEqual(second.entries) { $0 == $1 }
  }

  public func hash(into hasher: inout Hasher) {
    for entry in entries {
      hasher.combine(entry.key)
      hasher.combine(entry.value)
    }
  }
}

extension GGUFMetadata {
  /// A whole number of any width, where it is one.
  public func integer(_ key: String) -> Int? { self[key]?.integer }

  /// A number of any type.
  public func number(_ key: String) -> Double? { self[key]?.number }

  public func string(_ key: String) -> String? {
    if case .string(let text)? = self[key] { return text }
    return nil
  }

  public func bool(_ key: String) -> Bool? {
    if case .bool(let value)? = self[key] { return value }
    return nil
  }
}

extension GGUFValue {
  /// A whole number of any width; nil for what is none or does not fit.
  public var integer: Int? {
    switch self {
    case .uint8(let value): Int(value)
    case .int8(let value): Int(value)
    case .uint16(let value): Int(value)
    case .int16(let value): Int(value)
    case .uint32(let value): Int(value)
    case .int32(let value): Int(value)
    case .uint64(let value): Int(exactly: value)
    case .int64(let value): Int(exactly: value)
    default: nil
    }
  }

  /// Any number as a double.
  public var number: Double? {
    switch self {
    case .float32(let value): Double(value)
    case .float64(let value): value
    default: integer.map(Double.init)
    }
  }
}
