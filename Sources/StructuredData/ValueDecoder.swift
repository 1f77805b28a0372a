import Diagnostics

/// Decodes what people write: a value that is refused is named by its place, and where a word is expected, by the words that there are.
///
/// Numbers are as JSON has them; a whole one may be written `4.0`. Where a type is `CaseIterable` with words for raw values, only these
/// words do.
package struct ValueDecoder: Decoder {
  /// What cannot be decoded.
  package struct Problem: Error, Sendable {
    package let path: ValuePath
    package let problem: String
    package let remedy: String
  }

  fileprivate let value: JSONValue
  package let codingPath: [any CodingKey]
  package var userInfo: [CodingUserInfoKey: Any] { [:] }

  package static func decode<T: Decodable>(_ type: T.Type, from value: JSONValue) throws(Problem) -> T {
    do {
      return try ValueDecoder(value: value, codingPath: []).decoded(type)
    } catch let problem as Problem {
      throw problem
    } catch let error as DecodingError {
      throw Problem(error)
    } catch {
      throw Problem(path: ValuePath(), problem: "\(error)", remedy: "")
    }
  }

  package func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
    guard let object = value.object else { throw problem("is \(shown), not a mapping") }
    return KeyedDecodingContainer(Members(object: object, codingPath: codingPath))
  }

  package func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
    guard let elements = value.array else { throw problem("is \(shown), not a list") }
    return Elements(elements: elements, codingPath: codingPath)
  }

  package func singleValueContainer() throws -> any SingleValueDecodingContainer { Single(decoder: self) }

  private var shown: String {
    let text = value.text(pretty: false)
    return text.utf8.count <= 60 ? text : "\(text.prefix(50))…"
  }

  private func problem(_ text: String, remedy: String = "") -> Problem {
    Problem(path: ValuePath(codingPath), problem: text, remedy: remedy)
  }

  fileprivate func decoded<T: Decodable>(_ type: T.Type) throws -> T {
    if let plain = try plain(type) as? T { return plain }
    if let words = words(of: type), !words.isEmpty {
      let word = value.string
      guard let word, words.contains(word) else {
        let list = "use \(words.joined(separator: ", "))"
        throw problem("is \(shown)", remedy: word.map { NameSuggestion.remedy(for: $0, among: words, known: list) } ?? list)
      }
    }
    return try T(from: self)
  }

  /// The words that a type has; nil where it has none.
  private func words<T>(of type: T.Type) -> [String]? {
    guard let type = type as? any CaseIterable.Type else { return nil }
    func list<Values: CaseIterable>(_ type: Values.Type) -> [String]? {
      let words = type.allCases.map { ($0 as? any RawRepresentable)?.rawValue as? String }
      return words.contains(nil) ? nil : words.compactMap(\.self)
    }
    return list(type)
  }

  /// What JSON has itself; nil for any other type.
  private func plain<T>(_ type: T.Type) throws -> Any? {
    switch type {
    case is Bool.Type:
      guard let flag = value.bool else { throw problem("is \(shown)", remedy: "use true or false") }
      return flag
    case is String.Type:
      guard let text = value.string else { throw problem("is \(shown), not a text", remedy: "put it in quotation marks") }
      return text
    case is Double.Type:
      guard let number = value.double else { throw problem("is \(shown), not a number") }
      return number
    case is Float.Type:
      guard let number = value.double, Float(number).isFinite else { throw problem("is \(shown), not a number that fits 32 bits") }
      return Float(number)
    default: break
    }
    guard let type = type as? any (FixedWidthInteger & Decodable).Type else { return nil }
    func whole<Number: FixedWidthInteger>(_ type: Number.Type) throws -> Number {
      guard let number = value.integer.flatMap({ Number(exactly: $0) }) else {
        throw problem("is \(shown), not a whole number\(value.integer == nil ? "" : " within range")")
      }
      return number
    }
    return try whole(type)
  }

  private struct Index: CodingKey {
    let index: Int
    var intValue: Int? { index }
    var stringValue: String { "\(index)" }
    init(_ index: Int) { self.index = index }
    init?(intValue: Int) { index = intValue }
    init?(stringValue: String) { nil }
  }

  private struct Members<Key: CodingKey>: KeyedDecodingContainerProtocol {
    let object: JSONObject
    let codingPath: [any CodingKey]

    var allKeys: [Key] { object.keys.compactMap(Key.init(stringValue:)) }
    func contains(_ key: Key) -> Bool { object[key.stringValue] != nil }

    private func member(_ key: Key) throws -> ValueDecoder {
      let path = codingPath + [key]
      guard let value = object[key.stringValue] else { throw Problem(path: ValuePath(path), problem: "is missing", remedy: "") }
      return ValueDecoder(value: value, codingPath: path)
    }

    func decodeNil(forKey key: Key) throws -> Bool { try member(key).value.isNull }
    func decode<T: Decodable>(_ type: T.Type, forKey key: Key) throws -> T { try member(key).decoded(type) }
    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) throws -> KeyedDecodingContainer<Nested> {
      try member(key).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer { try member(key).unkeyedContainer() }
    func superDecoder() throws -> any Decoder { ValueDecoder(value: .object(object), codingPath: codingPath) }
    func superDecoder(forKey key: Key) throws -> any Decoder { try member(key) }
  }

  private struct Elements: UnkeyedDecodingContainer {
    let elements: [JSONValue]
    let codingPath: [any CodingKey]
    private(set) var currentIndex = 0

    init(elements: [JSONValue], codingPath: [any CodingKey]) { (self.elements, self.codingPath) = (elements, codingPath) }

    var count: Int? { elements.count }
    var isAtEnd: Bool { currentIndex >= elements.count }

    private func current() throws -> ValueDecoder {
      let path = codingPath + [Index(currentIndex)]
      guard !isAtEnd else { throw Problem(path: ValuePath(path), problem: "is missing", remedy: "") }
      return ValueDecoder(value: elements[currentIndex], codingPath: path)
    }

    private mutating func next<Result>(_ body: (ValueDecoder) throws -> Result) throws -> Result {
      let result = try body(current())
      currentIndex += 1
      return result
    }

    mutating func decodeNil() throws -> Bool {
      let isNull = try current().value.isNull
      if isNull { currentIndex += 1 }
      return isNull
    }
    mutating func decode<T: Decodable>(_ type: T.Type) throws -> T { try next { try $0.decoded(type) } }
    mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) throws -> KeyedDecodingContainer<Nested> {
      try next { try $0.container(keyedBy: type) }
    }
    mutating func nestedUnkeyedContainer() throws -> any UnkeyedDecodingContainer { try next { try $0.unkeyedContainer() } }
    mutating func superDecoder() throws -> any Decoder { try next { $0 } }
  }

  private struct Single: SingleValueDecodingContainer {
    let decoder: ValueDecoder
    var codingPath: [any CodingKey] { decoder.codingPath }
    func decodeNil() -> Bool { decoder.value.isNull }
    func decode<T: Decodable>(_ type: T.Type) throws -> T { try decoder.decoded(type) }
  }
}

extension ValueDecoder.Problem {
  /// What a type's own decoding says.
  fileprivate init(_ error: DecodingError) {
    switch error {
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context), .dataCorrupted(let context):
      self.init(path: ValuePath(context.codingPath), problem: context.debugDescription, remedy: "")
    @unknown default: self.init(path: ValuePath(), problem: "\(error)", remedy: "")
    }
  }
}
