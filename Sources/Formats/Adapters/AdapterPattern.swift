import StructuredData

/// An entry of `rank_pattern` or `alpha_pattern`, matched as PEFT does: Python's `(.*\.)?(PATTERN)$` against the module's name.
struct AdapterPattern: Sendable {
  private enum Form: Sendable {
    /// No character but letters, digits, `_`, `-` and dots, which stand for any character: compared byte by byte from the end.
    case suffix([UInt8])
    /// The same after a `^`, which only the whole name can follow.
    case whole([UInt8])
    case expression(NamePattern)
  }

  let text: String
  private let form: Form

  init(_ text: String) throws(NamePatternError) {
    self.text = text
    let isAnchored = text.utf8.first == UInt8(ascii: "^")
    let body = Array(text.utf8.dropFirst(isAnchored ? 1 : 0))
    if body.allSatisfy({ $0.isPlain || $0 == UInt8(ascii: ".") }) {
      form = isAnchored ? .whole(body) : .suffix(body)
    } else {
      form = .expression(try NamePattern("(.*\\.)?(\(text))$"))
    }
  }

  /// What a match can cost, as `MatchingBudget` counts.
  var weight: Int {
    switch form {
    case .suffix, .whole: 1
    case .expression: MatchingBudget.weight(ofExpression: text)
    }
  }

  func matches(_ module: String) -> Bool {
    switch form {
    case .suffix(let suffix): Self.ends(module, with: suffix)
    case .whole(let name): module.utf8.count == name.count && Self.ends(module, with: name)
    case .expression(let pattern): pattern.matches(module)
    }
  }

  private static func ends(_ module: String, with suffix: [UInt8]) -> Bool {
    var name = module.utf8.reversed().makeIterator()
    for byte in suffix.reversed() {
      guard let found = name.next(), found == byte || byte == UInt8(ascii: ".") else { return false }
    }
    guard let before = name.next() else { return true }
    return before == UInt8(ascii: ".")
  }

  /// A pattern that matches this name; of other names it matches only those that end in it.
  static func escaped(_ name: String) -> String {
    var text = ""
    for scalar in name.unicodeScalars {
      if "^$*+?{}[]\\|()".unicodeScalars.contains(scalar) { text.unicodeScalars.append("\\") }
      text.unicodeScalars.append(scalar)
    }
    return text
  }
}
