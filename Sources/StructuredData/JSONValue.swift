/// A JSON document as a value (RFC 8259). Objects keep the order of their keys, integers stay exact.
public enum JSONValue: Sendable, Hashable {
  case null
  case bool(Bool)
  /// A number written without fraction or exponent that fits 64 signed bits.
  case integer(Int64)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object(JSONObject)
}

/// An object: members in document order, looked up by key. Keys are equal when their bytes are: a vocabulary may hold both
/// the composed and the decomposed form of a letter, which `String` would call the same.
public struct JSONObject: Sendable, Hashable, ExpressibleByDictionaryLiteral {
  /// The members in order.
  public private(set) var members: [Member] = []
  private var positions: [ByteKey: Int] = [:]

  public struct Member: Sendable, Hashable {
    public let key: String
    public var value: JSONValue
  }

  private struct ByteKey: Hashable {
    var text: String
    static func == (left: Self, right: Self) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }
    func hash(into hasher: inout Hasher) { for byte in text.utf8 { hasher.combine(byte) } }
  }

  public init() {}

  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    for (key, value) in elements { self[key] = value }
  }

  public var count: Int { members.count }
  public var isEmpty: Bool { members.isEmpty }
  public var keys: [String] { members.map(\.key) }

  /// The member of that key; setting nil removes it, setting a new key appends it.
  public subscript(key: String) -> JSONValue? {
    get { positions[ByteKey(text: key)].map { members[$0].value } }
    set {
      let byteKey = ByteKey(text: key)
      switch (positions[byteKey], newValue) {
      case (let position?, let value?): members[position].value = value
      case (nil, let value?):
        positions[byteKey] = members.count
        members.append(Member(key: key, value: value))
      case (let position?, nil):
        members.remove(at: position)
        positions[byteKey] = nil
        for index in position..<members.count { positions[ByteKey(text: members[index].key)] = index }
      case (nil, nil): break
      }
    }
  }
}

extension JSONValue {
  public var string: String? { if case .string(let value) = self { value } else { nil } }
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  public var array: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
  public var object: JSONObject? { if case .object(let value) = self { value } else { nil } }
  public var isNull: Bool { self == .null }

  /// An integer, also when it was written as `1.0` or `1e3`.
  public var integer: Int? {
    switch self {
    case .integer(let value): Int(exactly: value)
    case .number(let value): Int(exactly: value)
    default: nil
    }
  }

  public var double: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    default: nil
    }
  }

  /// The member of an object; nil for anything else.
  public subscript(key: String) -> JSONValue? { object?[key] }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByFloatLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
  public init(stringLiteral value: String) { self = .string(value) }
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  public init(integerLiteral value: Int64) { self = .integer(value) }
  public init(floatLiteral value: Double) { self = .number(value) }
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  public init(nilLiteral: ()) { self = .null }
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    var object = JSONObject()
    for (key, value) in elements { object[key] = value }
    self = .object(object)
  }
}
