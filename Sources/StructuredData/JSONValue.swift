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
  /// Where a key stands; empty as long as there are so few members that looking through them is faster.
  private var positions: [ByteKey: Int] = [:]
  private static let fewMembers = 8

  public struct Member: Sendable, Hashable {
    public let key: String
    public var value: JSONValue
  }

  private struct ByteKey: Hashable {
    var text: String
    static func == (left: Self, right: Self) -> Bool {
      let (first, second) = (left.text.utf8, right.text.utf8)
      guard first.count == second.count else { return false }
      let isEqual = first.withContiguousStorageIfAvailable { left in
        second.withContiguousStorageIfAvailable { right in UnsafeRawBufferPointer(left).elementsEqual(UnsafeRawBufferPointer(right)) }
      }
      return (isEqual ?? nil) ?? first.elementsEqual(second)
    }
    func hash(into hasher: inout Hasher) {
      let isHashed: Void? = text.utf8.withContiguousStorageIfAvailable { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
      if isHashed == nil { Array(text.utf8).withUnsafeBytes { hasher.combine(bytes: $0) } }
    }
  }

  public static func == (left: Self, right: Self) -> Bool { left.members == right.members }
  public func hash(into hasher: inout Hasher) { hasher.combine(members) }

  public init() {}

  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    for (key, value) in elements { self[key] = value }
  }

  public var count: Int { members.count }
  public var isEmpty: Bool { members.isEmpty }
  public var keys: [String] { members.map(\.key) }

  /// The member of that key; setting nil removes it, setting a new key appends it.
  public subscript(key: String) -> JSONValue? {
    get { position(of: key).map { members[$0].value } }
    set {
      switch (position(of: key), newValue) {
      case (let position?, let value?): members[position].value = value
      case (nil, let value?): append(key, value)
      case (let position?, nil):
        members.remove(at: position)
        positions = [:]
        if members.count > Self.fewMembers { index() }
      case (nil, nil): break
      }
    }
  }

  /// Whether there is such a member.
  func contains(_ key: String) -> Bool { position(of: key) != nil }

  /// Adds a member whose key is known to be new.
  mutating func append(_ key: String, _ value: JSONValue) {
    members.append(Member(key: key, value: value))
    if !positions.isEmpty {
      positions[ByteKey(text: key)] = members.count - 1
    } else if members.count > Self.fewMembers {
      index()
    }
  }

  private func position(of key: String) -> Int? {
    let key = ByteKey(text: key)
    if !positions.isEmpty { return positions[key] }
    return members.firstIndex { ByteKey(text: $0.key) == key }
  }

  private mutating func index() {
    for (place, member) in members.enumerated() { positions[ByteKey(text: member.key)] = place }
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
