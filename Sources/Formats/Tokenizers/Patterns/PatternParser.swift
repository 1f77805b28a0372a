/// Reads an expression in Oniguruma's own syntax, the one the tokenizers library uses.
struct PatternParser {
  let source: [UInt32]
  var position = 0
  var options = Options()
  /// How many capturing groups have been opened; captures themselves are not kept.
  private(set) var groupCount = 0
  private var depth = 0

  struct Options {
    var ignoresCase = false
    /// `(?m)`: the dot takes newlines too.
    var dotTakesNewlines = false
    /// `(?x)`: spaces and comments in the expression mean nothing.
    var isExtended = false
  }

  static let maximumDepth = 100
  static let maximumStackedQuantifiers = 8
  /// Published expressions have a few hundred; some compilation steps take the square of it.
  static let maximumLength = 8192
  static let maximumRepeat = 100_000

  static func parse(_ text: String) throws(PatternError) -> PatternNode {
    var parser = PatternParser(source: text.unicodeScalars.map(\.value))
    guard parser.source.count <= maximumLength else { throw .malformed("is longer than \(maximumLength) characters") }
    let node = try parser.alternation()
    guard parser.peek() == nil else { throw .malformed("has an unmatched closing parenthesis") }
    return node
  }

  private init(source: [UInt32]) { self.source = source }

  func peek(_ ahead: Int = 0) -> Unicode.Scalar? {
    position + ahead < source.count ? Unicode.Scalar(source[position + ahead]) : nil
  }

  mutating func take(_ scalar: Unicode.Scalar) -> Bool {
    guard peek() == scalar else { return false }
    position += 1
    return true
  }

  private mutating func alternation() throws(PatternError) -> PatternNode {
    guard depth < Self.maximumDepth else { throw .malformed("is nested more than \(Self.maximumDepth) levels deep") }
    depth += 1
    defer { depth -= 1 }
    var branches = [try sequence()]
    while take("|") { branches.append(try sequence()) }
    return branches.count == 1 ? branches[0] : .alternation(branches)
  }

  private mutating func sequence() throws(PatternError) -> PatternNode {
    var nodes: [PatternNode] = []
    while let next = peek(), next != "|", next != ")" {
      if options.isExtended, skipExtended() { continue }
      guard let atom = try atom(next) else { continue }
      nodes.append(try quantified(atom))
    }
    return nodes.count == 1 ? nodes[0] : .sequence(nodes)
  }

  private mutating func skipExtended() -> Bool {
    guard let next = peek() else { return false }
    if next == "#" {
      while let skipped = peek(), skipped != "\n" { position += 1 }
      return true
    }
    guard next == " " || next.value >= 9 && next.value <= 13 else { return false }
    position += 1
    return true
  }

  /// One element without its quantifier; nil for a comment.
  private mutating func atom(_ next: Unicode.Scalar) throws(PatternError) -> PatternNode? {
    switch next {
    case "(": return try group()
    case "[":
      position += 1
      return .set(try bracket())
    case "\\":
      position += 1
      return try escape()
    case ".":
      position += 1
      return .set(options.dotTakesNewlines ? .all : ScalarSet(0x0A).complement)
    case "^":
      position += 1
      return .assertion(.lineStart)
    case "$":
      position += 1
      return .assertion(.lineEnd)
    case "*", "+", "?": throw .malformed("repeats nothing (\"\(next)\")")
    default:
      position += 1
      return literal(next.value)
    }
  }

  func literal(_ scalar: UInt32) -> PatternNode {
    .set(options.ignoresCase ? CaseFolding.closure(ScalarSet(scalar)) : ScalarSet(scalar))
  }

  private mutating func group() throws(PatternError) -> PatternNode? {
    position += 1
    let saved = options
    guard take("?") else {
      groupCount += 1
      return try closed(restoring: saved) { node in node }
    }
    guard let kind = peek() else { throw .malformed("has an unmatched parenthesis") }
    position += 1
    switch kind {
    case ":": return try closed(restoring: saved) { node in node }
    case "=": return try closed(restoring: saved) { node in .lookahead(node, negated: false) }
    case "!": return try closed(restoring: saved) { node in .lookahead(node, negated: true) }
    case ">": return try closed(restoring: saved) { node in .atomic(node) }
    case "#":
      while let skipped = peek(), skipped != ")" { position += skipped == "\\" ? 2 : 1 }
      guard take(")") else { throw .malformed("has a comment that does not end") }
      return nil
    case "<":
      if take("=") { return try closed(restoring: saved) { node in .lookbehind(node, negated: false) } }
      if take("!") { return try closed(restoring: saved) { node in .lookbehind(node, negated: true) } }
      while let skipped = peek(), skipped != ">" { position += 1 }
      guard take(">") else { throw .malformed("has a group name that does not end") }
      return try closed(restoring: saved) { node in node }
    case "~": throw .unsupported("an absence group (?~")
    case "(": throw .unsupported("a conditional (?(")
    case "{": throw .unsupported("a callout (?{")
    default:
      position -= 1
      return try optionGroup(saved)
    }
  }

  /// `(?i-m:...)`, or `(?i)` which holds to the end of the enclosing group and takes its further alternatives in.
  private mutating func optionGroup(_ saved: Options) throws(PatternError) -> PatternNode {
    var isOn = true
    while let letter = peek() {
      position += 1
      switch letter {
      case "i": options.ignoresCase = isOn
      case "m": options.dotTakesNewlines = isOn
      case "x": options.isExtended = isOn
      case "-": isOn = false
      case ":": return try closed(restoring: saved) { node in node }
      case ")":
        let rest = try alternation()
        options = saved
        return rest
      case "W", "D", "S", "P", "y", "I", "L", "C": throw .unsupported("the option \"\(letter)\"")
      default: throw .malformed("has an undefined group option \"\(letter)\"")
      }
    }
    throw .malformed("has an unmatched parenthesis")
  }

  private mutating func closed(
    restoring saved: Options, _ wrap: (PatternNode) -> PatternNode
  ) throws(PatternError) -> PatternNode {
    let node = try alternation()
    guard take(")") else { throw .malformed("has an unmatched parenthesis") }
    options = saved
    return wrap(node)
  }
}
