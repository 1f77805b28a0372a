import Diagnostics
import StructuredData

/// One JSON object of a tokenizer.json with the place it was found at: reads typed members and names the place in errors.
struct TokenizerComponent {
  let value: JSONValue
  let file: String
  let path: String

  init(_ value: JSONValue, file: String, path: String) {
    self.value = value
    self.file = file
    self.path = path
  }

  func malformed(_ problem: String) -> TokenizerError { .malformed(file, at: path, problem) }

  func unsupported(_ what: String, supported: String) -> TokenizerError {
    .unsupported(file, at: path, what, supported: supported)
  }

  /// The member, nil when it is absent or null.
  func member(_ key: String) -> JSONValue? {
    guard let member = value[key], !member.isNull else { return nil }
    return member
  }

  func component(_ key: String) -> TokenizerComponent? {
    member(key).map { TokenizerComponent($0, file: file, path: path.isEmpty ? key : "\(path).\(key)") }
  }

  func type() throws(TokenizerError) -> String { try string("type") }

  func string(_ key: String) throws(TokenizerError) -> String {
    guard let text = value[key]?.string else { throw malformed("\"\(key)\" must be a string") }
    return text
  }

  func optionalString(_ key: String) throws(TokenizerError) -> String? {
    member(key) == nil ? nil : try string(key)
  }

  /// A string of exactly one Unicode scalar.
  func scalar(_ key: String) throws(TokenizerError) -> Unicode.Scalar {
    let scalars = try string(key).unicodeScalars
    guard let first = scalars.first, scalars.count == 1 else { throw malformed("\"\(key)\" must be one character") }
    return first
  }

  /// A truth value; without a default it must be there.
  func bool(_ key: String, default fallback: Bool? = nil) throws(TokenizerError) -> Bool {
    if let fallback, member(key) == nil { return fallback }
    guard let flag = value[key]?.bool else { throw malformed("\"\(key)\" must be true or false") }
    return flag
  }

  func count(_ key: String) throws(TokenizerError) -> Int {
    guard let number = value[key]?.integer, number >= 0 else { throw malformed("\"\(key)\" must be a count") }
    return number
  }

  /// The elements of an array, each with its place.
  func list(_ key: String) throws(TokenizerError) -> [TokenizerComponent] {
    guard let elements = value[key]?.array else { throw malformed("\"\(key)\" must be an array") }
    return elements.enumerated().map { index, element in
      TokenizerComponent(element, file: file, path: path.isEmpty ? "\(key)[\(index)]" : "\(path).\(key)[\(index)]")
    }
  }

  func tokenID(_ value: JSONValue?) throws(TokenizerError) -> Int32 {
    guard let number = value?.integer, let id = Int32(exactly: number), id >= 0 else {
      throw malformed("a token id must be a whole number from 0 to \(Int32.max)")
    }
    return id
  }

  /// `{"String": "..."}` or `{"Regex": "..."}`.
  func pattern(_ key: String) throws(TokenizerError) -> Pattern {
    guard let object = value[key]?.object, object.count == 1, let member = object.members.first, let text = member.value.string
    else { throw malformed("\"\(key)\" must be {\"String\": ...} or {\"Regex\": ...}") }
    do throws(PatternError) {
      switch member.key {
      case "String": return try Pattern(literal: text)
      case "Regex": return try Pattern(text)
      default: break
      }
    } catch {
      throw TokenizerError(
        kind: .badData, subject: file, problem: "\(path): the expression \"\(text.prefix(200))\" \(error.problem)",
        remedy: error.isUnsupported ? "use a tokenizer whose expressions do without it" : "mend the expression")
    }
    throw malformed("\"\(key)\" must be {\"String\": ...} or {\"Regex\": ...}")
  }
}
