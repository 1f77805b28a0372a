import Tensors

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
  /// Arrays of any other element type, nested ones included. An empty one has lost its element type and is written as one of int32.
  case array([GGUFValue])
}

/// Metadata in the order of the file. Keys are equal when their bytes are.
public struct GGUFMetadata: Sendable, Hashable {
  public private(set) var entries: [(key: String, value: GGUFValue)] = []
  private var index: [TensorName: Int] = [:]

  public init() {}

  /// The value of a key; setting nil takes the key away.
  public subscript(key: String) -> GGUFValue? {
    get { index[TensorName(key)].map { entries[$0].value } }
    set {
      switch (index[TensorName(key)], newValue) {
      case (let place?, let value?): entries[place].value = value
      case (nil, let value?):
        index[TensorName(key)] = entries.count
        entries.append((key, value))
      case (let place?, nil):
        entries.remove(at: place)
        index = Dictionary(uniqueKeysWithValues: entries.enumerated().map { (TensorName($0.element.key), $0.offset) })
      case (nil, nil): break
      }
    }
  }

  /// Takes over the entries of another; where both have a key, the other's value counts and its place does not.
  public mutating func merge(_ other: GGUFMetadata) {
    for entry in other.entries { self[entry.key] = entry.value }
  }

  public static func == (first: Self, second: Self) -> Bool {
    first.entries.elementsEqual(second.entries) { TensorName($0.key) == TensorName($1.key) && $0.value == $1.value }
  }

  public func hash(into hasher: inout Hasher) {
    for entry in entries {
      hasher.combine(TensorName(entry.key))
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

  public func strings(_ key: String) -> [String]? {
    if case .strings(let values)? = self[key] { return values }
    return nil
  }

  /// Whole numbers of any width, where all of them are.
  public func integers(_ key: String) -> [Int]? { self[key]?.integers }

  /// Numbers of any type.
  public func numbers(_ key: String) -> [Double]? { self[key]?.numbers }
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

  /// An array of whole numbers; nil when one of them is none.
  public var integers: [Int]? {
    switch self {
    case .int32s(let values): values.map(Int.init)
    case .array(let values): Self.all(values, \.integer)
    default: nil
    }
  }

  /// An array of numbers; nil when one of them is none.
  public var numbers: [Double]? {
    switch self {
    case .int32s(let values): values.map(Double.init)
    case .float32s(let values): values.map(Double.init)
    case .array(let values): Self.all(values, \.number)
    default: nil
    }
  }

  private static func all<Element>(_ values: [GGUFValue], _ element: (GGUFValue) -> Element?) -> [Element]? {
    let elements = values.compactMap(element)
    return elements.count == values.count ? elements : nil
  }
}
