import Diagnostics

/// Why a text is not acceptable JSON.
public struct JSONError: Failure {
  public let kind = FailureKind.badData
  public let subject: String
  public let problem: String
  public let remedy = ""

  init(_ problem: String, at offset: Int) {
    subject = ""
    self.problem = "\(problem) at byte \(offset)"
  }

  private init(subject: String, problem: String) {
    self.subject = subject
    self.problem = problem
  }

  /// The same error, naming the file it was found in.
  public func inFile(_ name: String) -> JSONError { JSONError(subject: name, problem: "not valid JSON: \(problem)") }
}

extension JSONValue {
  /// Parses one document strictly: UTF-8 only, no duplicate keys, no trailing bytes, at most 128 levels deep.
  public init(parsing bytes: UnsafeRawBufferPointer) throws(JSONError) {
    var parser = JSONParser(bytes: bytes)
    self = try parser.document()
  }

  /// Parses a whole string.
  public init(parsing text: String) throws(JSONError) {
    var copy = text
    let result: Result<JSONValue, JSONError> = copy.withUTF8 { buffer in
      let raw = UnsafeRawBufferPointer(buffer)
      do throws(JSONError) { return .success(try JSONValue(parsing: raw)) } catch { return .failure(error) }
    }
    self = try result.get()
  }
}

/// Recursive descent over bytes. A safetensors header may hold 100 MB, so it never builds intermediate strings.
struct JSONParser {
  let bytes: UnsafeRawBufferPointer
  var position = 0
  static let maximumDepth = 128

  init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  mutating func document() throws(JSONError) -> JSONValue {
    skipSpace()
    let value = try value(depth: 0)
    skipSpace()
    guard position == bytes.count else { throw JSONError("unexpected bytes after the document", at: position) }
    return value
  }

  private mutating func skipSpace() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x09, 0x0A, 0x0D: position += 1
      default: return
      }
    }
  }

  private func peek() -> UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
    guard depth < Self.maximumDepth else { throw JSONError("more than \(Self.maximumDepth) levels", at: position) }
    switch peek() {
    case UInt8(ascii: "{"): return .object(try object(depth: depth))
    case UInt8(ascii: "["): return .array(try array(depth: depth))
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try literal("true", .bool(true))
    case UInt8(ascii: "f"): return try literal("false", .bool(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    case .some(UInt8(ascii: "-")), .some(UInt8(ascii: "0")...UInt8(ascii: "9")): return try number()
    case nil: throw JSONError("the text ends too early", at: position)
    default: throw JSONError("unexpected byte", at: position)
    }
  }

  private mutating func literal(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
    let length = word.utf8CodeUnitCount
    guard position + length <= bytes.count else { throw JSONError("the text ends too early", at: position) }
    for index in 0..<length where bytes[position + index] != word.utf8Start[index] {
      throw JSONError("unexpected word", at: position)
    }
    position += length
    return value
  }

  private mutating func object(depth: Int) throws(JSONError) -> JSONObject {
    position += 1
    var object = JSONObject()
    skipSpace()
    if peek() == UInt8(ascii: "}") {
      position += 1
      return object
    }
    while true {
      skipSpace()
      let start = position
      guard peek() == UInt8(ascii: "\"") else { throw JSONError("expected a key", at: position) }
      let key = try string()
      skipSpace()
      guard peek() == UInt8(ascii: ":") else { throw JSONError("expected ':'", at: position) }
      position += 1
      skipSpace()
      guard !object.contains(key) else { throw JSONError("the key \"\(key.prefix(120))\" appears twice", at: start) }
      object.append(key, try value(depth: depth + 1))
      skipSpace()
      switch peek() {
      case UInt8(ascii: ","): position += 1
      case UInt8(ascii: "}"):
        position += 1
        return object
      default: throw JSONError("expected ',' or '}'", at: position)
      }
    }
  }

  private mutating func array(depth: Int) throws(JSONError) -> [JSONValue] {
    position += 1
    var elements: [JSONValue] = []
    skipSpace()
    if peek() == UInt8(ascii: "]") {
      position += 1
      return elements
    }
    while true {
      skipSpace()
      elements.append(try value(depth: depth + 1))
      skipSpace()
      switch peek() {
      case UInt8(ascii: ","): position += 1
      case UInt8(ascii: "]"):
        position += 1
        return elements
      default: throw JSONError("expected ',' or ']'", at: position)
      }
    }
  }

  private mutating func number() throws(JSONError) -> JSONValue {
    let start = position
    var isInteger = true
    if peek() == UInt8(ascii: "-") { position += 1 }
    let firstDigit = position
    digits()
    guard position > firstDigit else { throw JSONError("expected a digit", at: position) }
    if position - firstDigit > 1, bytes[firstDigit] == UInt8(ascii: "0") {
      throw JSONError("a number may not start with 0", at: firstDigit)
    }
    if peek() == UInt8(ascii: ".") {
      isInteger = false
      position += 1
      let mark = position
      digits()
      guard position > mark else { throw JSONError("expected a digit", at: position) }
    }
    if peek() == UInt8(ascii: "e") || peek() == UInt8(ascii: "E") {
      isInteger = false
      position += 1
      if peek() == UInt8(ascii: "+") || peek() == UInt8(ascii: "-") { position += 1 }
      let mark = position
      digits()
      guard position > mark else { throw JSONError("expected a digit", at: position) }
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if isInteger, let value = Int64(text) { return .integer(value) }
    guard let value = Double(text), value.isFinite else { throw JSONError("the number is out of range", at: start) }
    return .number(value)
  }

  private mutating func digits() {
    while let byte = peek(), (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
  }

  private mutating func string() throws(JSONError) -> String {
    position += 1
    let start = position
    // Most strings have no escape: find the end, then validate once.
    while let byte = peek(), byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { position += 1 }
    if peek() == UInt8(ascii: "\"") {
      defer { position += 1 }
      guard let text = String(validating: bytes[start..<position], as: UTF8.self) else {
        throw JSONError("a string is not UTF-8", at: start)
      }
      return text
    }
    var buffer = Array(bytes[start..<position])
    while let byte = peek() {
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        guard let text = String(validating: buffer, as: UTF8.self) else {
          throw JSONError("a string is not UTF-8", at: start)
        }
        return text
      case UInt8(ascii: "\\"):
        position += 1
        try escape(into: &buffer)
      case 0..<0x20: throw JSONError("a control character in a string", at: position)
      default:
        buffer.append(byte)
        position += 1
      }
    }
    throw JSONError("a string does not end", at: start)
  }

  private mutating func escape(into buffer: inout [UInt8]) throws(JSONError) {
    guard let byte = peek() else { throw JSONError("a string does not end", at: position) }
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): buffer.append(byte)
    case UInt8(ascii: "b"): buffer.append(0x08)
    case UInt8(ascii: "f"): buffer.append(0x0C)
    case UInt8(ascii: "n"): buffer.append(0x0A)
    case UInt8(ascii: "r"): buffer.append(0x0D)
    case UInt8(ascii: "t"): buffer.append(0x09)
    case UInt8(ascii: "u"):
      var scalar = UInt32(try hex())
      if (0xD800...0xDBFF).contains(scalar) {
        guard peek() == UInt8(ascii: "\\"), position + 1 < bytes.count, bytes[position + 1] == UInt8(ascii: "u") else {
          throw JSONError("an unpaired surrogate", at: position)
        }
        position += 2
        let low = UInt32(try hex())
        guard (0xDC00...0xDFFF).contains(low) else { throw JSONError("an unpaired surrogate", at: position) }
        scalar = 0x10000 + ((scalar - 0xD800) << 10) + (low - 0xDC00)
      }
      guard let scalar = Unicode.Scalar(scalar) else { throw JSONError("an unpaired surrogate", at: position) }
      buffer.append(contentsOf: UTF8.encode(scalar).map(Array.init) ?? [])
    default: throw JSONError("an unknown escape", at: position - 1)
    }
  }

  private mutating func hex() throws(JSONError) -> UInt16 {
    guard position + 4 <= bytes.count else { throw JSONError("a string does not end", at: position) }
    var value: UInt16 = 0
    for _ in 0..<4 {
      let digit: UInt8
      switch bytes[position] {
      case let byte where (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte): digit = byte - UInt8(ascii: "0")
      case let byte where (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte): digit = byte - UInt8(ascii: "a") + 10
      case let byte where (UInt8(ascii: "A")...UInt8(ascii: "F")).contains(byte): digit = byte - UInt8(ascii: "A") + 10
      default: throw JSONError("expected four hexadecimal digits", at: position)
      }
      value = value << 4 | UInt16(digit)
      position += 1
    }
    return value
  }
}
