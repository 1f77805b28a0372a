import Diagnostics
import StructuredData
import Yams

/// A recipe's YAML as a value that remembers its lines.
struct RecipeDocument {
  let value: JSONValue
  private let file: String
  private let root: Node

  /// - Parameter file: where errors point.
  init(_ text: String, file: String) throws {
    guard text.utf8.count <= 1 << 20 else { throw RecipeError(file, "is larger than 1 MB", kind: .badConfiguration) }
    // The parser expands aliases before anyone can look: they are found in the text.
    guard !holdsAnchorOrAlias(text), !couldHold("&", in: text) || !couldHold("*", in: text) else {
      throw RecipeError(file, "uses an anchor or an alias", remedy: "write values out", kind: .badConfiguration)
    }
    do {
      guard let node = try Yams.compose(yaml: text) else { throw RecipeError(file, "is empty", kind: .badConfiguration) }
      root = node
    } catch let error as YamlError {
      throw RecipeError(error: error, file: file)
    }
    self.file = file
    value = try JSONValue(yaml: root, file: file)
  }

  /// `recipe.yaml, line 5`, as near to the value as the document goes.
  func place(_ path: ValuePath = ValuePath()) -> String {
    var (node, mark): (Node?, Mark?) = (root, nil)
    for step in path.steps {
      switch (step, node) {
      case (.key(let key), .mapping(let mapping)?):
        let pair = mapping.first { $0.key.string == key }
        mark = pair?.key.mark ?? mark
        node = pair?.value
      case (.index(let index), .sequence(let sequence)?):
        node = sequence.indices.contains(index) ? sequence[index] : nil
        mark = node?.mark ?? mark
      default: node = nil
      }
    }
    return mark.map { "\(file), line \($0.line)" } ?? file
  }

  /// Refuses what stands at a place.
  /// - Parameter subject: what it is called; empty where the place says enough.
  func refusal(_ path: ValuePath, _ subject: String, _ problem: String, remedy: String = "") -> RecipeError {
    RecipeError(subject.isEmpty ? place(path) : "\(place(path)): \(subject)", problem, remedy: remedy, kind: .badConfiguration)
  }
}

extension RecipeError {
  /// What the parser refuses, on one line.
  fileprivate init(error: YamlError, file: String) {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
      self.init("\(file), line \(mark.line)", "is not YAML: \(problem)", kind: .badConfiguration)
    case .duplicatedKeysInMapping(let duplicates, let context):
      let keys = duplicates.sorted().map { "\"\($0)\"" }.joined(separator: ", ")
      self.init("\(file), line \(context.mark.line)", "has \(keys) twice", remedy: "keep one", kind: .badConfiguration)
    default: self.init(file, "is not YAML: \(error)", kind: .badConfiguration)
    }
  }
}

/// Whether a node of the text starts with `&` or `*`. A recipe needs neither, and nested aliases grow without bound.
/// Quoted text and comments do not count; inside a plain word (`re:.*up_proj`) neither character starts anything.
private func holdsAnchorOrAlias(_ text: String) -> Bool {
  let bytes = Array(text.utf8)
  var index = 0
  var startsNode = true
  // Whether what came before is a key in quotes or brackets: behind its colon a value may stand at once, as in JSON.
  var endsKey = false
  while index < bytes.count {
    let byte = bytes[index]
    var isQuoted = false
    switch byte {
    case UInt8(ascii: "&"), UInt8(ascii: "*"):
      if startsNode { return true }
    case UInt8(ascii: "\""), UInt8(ascii: "'"):
      guard startsNode else { break }
      isQuoted = true
      index += 1
      while index < bytes.count, bytes[index] != byte {
        if byte == UInt8(ascii: "\""), bytes[index] == UInt8(ascii: "\\") { index += 1 }
        index += 1
      }
    case UInt8(ascii: "#"):
      guard startsNode else { break }
      while index < bytes.count, bytes[index] != UInt8(ascii: "\n") { index += 1 }
    default: break
    }
    if index < bytes.count {
      startsNode =
        [0x20, 0x09, 0x0A, 0x0D, UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: ",")].contains(bytes[index])
        || endsKey && byte == UInt8(ascii: ":")
      endsKey = isQuoted || byte == UInt8(ascii: "]") || byte == UInt8(ascii: "}")
    }
    index += 1
  }
  return false
}

/// Whether a token of YAML may start with this character before a name, be it inside of what looks like quotes or a comment: in a block of
/// text, or within a plain word, a quote is a letter like any other. An alias without an anchor cannot grow, so each alone is left to the parser.
private func couldHold(_ mark: Unicode.Scalar, in text: String) -> Bool {
  let bytes = Array(text.utf8)
  func isName(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "_"), UInt8(ascii: "-"):
      true
    default: false
    }
  }
  // What a token can follow: space, the end of another token, or a line end beyond ASCII.
  func mayPrecede(_ byte: UInt8) -> Bool { byte <= 0x20 || byte >= 0x7F || "[]{},:?\"'".utf8.contains(byte) }
  return bytes.indices.contains { index in
    bytes[index] == UInt8(ascii: mark) && index + 1 < bytes.count && isName(bytes[index + 1])
      && (index == 0 || mayPrecede(bytes[index - 1]))
  }
}

extension JSONValue {
  /// A YAML node as a JSON value.
  init(yaml node: Node, file: String, depth: Int = 0) throws {
    guard depth < 32 else { throw RecipeError(file, "is nested too deeply", kind: .badConfiguration) }
    switch node {
    case .scalar(let scalar):
      if scalar.style == .doubleQuoted || scalar.style == .singleQuoted {
        self = .string(scalar.string)
      } else if let value = node.int {
        self = .integer(Int64(value))
      } else if let value = node.float, value.isFinite {
        self = .number(value)
      } else if let value = node.bool, scalar.string == "true" || scalar.string == "false" {
        self = .bool(value)
      } else if node.null != nil {
        self = .null
      } else {
        self = .string(scalar.string)
      }
    case .sequence(let sequence):
      self = .array(try sequence.map { try JSONValue(yaml: $0, file: file, depth: depth + 1) })
    case .mapping(let mapping):
      var object = JSONObject()
      for (key, value) in mapping {
        guard let name = key.string else { throw RecipeError(file, "has a key that is not a word", kind: .badConfiguration) }
        guard object[name] == nil else { throw RecipeError(file, "has the key \"\(name)\" twice", kind: .badConfiguration) }
        object[name] = try JSONValue(yaml: value, file: file, depth: depth + 1)
      }
      self = .object(object)
    case .alias: throw RecipeError(file, "uses an alias", remedy: "write values out", kind: .badConfiguration)
    }
  }
}
