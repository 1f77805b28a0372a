/// Reads the tokens of a template into statements, by Jinja's grammar.
struct TemplateParser {
  let tokens: [TemplateToken]
  var position = 0
  /// Blocks and brackets that enclose this place.
  var depth = 0
  /// Loops that `break` would end; a macro's body starts anew.
  private var loops = 0
  private(set) var hasGeneration = false

  /// More than any published template takes, and less than a thread's stack.
  static let maximumDepth = 100
  static let maximumChain = 500

  init(_ text: String) throws(TemplateError) { tokens = try TemplateLexer.tokens(of: text) }

  mutating func template() throws(TemplateError) -> [TemplateStatement] {
    let body = try statements(until: [])
    guard case .end = current.kind else { throw unexpected() }
    return body
  }

  var current: TemplateToken { tokens[min(position, tokens.count - 1)] }
  var line: Int { current.line }

  mutating func advance() { position += 1 }

  func isSymbol(_ symbol: String) -> Bool { current.kind == .symbol(symbol) }
  func isName(_ name: String) -> Bool { current.kind == .name(name) }

  mutating func skip(symbol: String) -> Bool {
    guard isSymbol(symbol) else { return false }
    advance()
    return true
  }

  mutating func skip(name: String) -> Bool {
    guard isName(name) else { return false }
    advance()
    return true
  }

  mutating func expect(symbol: String) throws(TemplateError) {
    guard skip(symbol: symbol) else { throw unexpected("'\(symbol)'") }
  }

  mutating func expect(name: String) throws(TemplateError) {
    guard skip(name: name) else { throw unexpected("'\(name)'") }
  }

  mutating func identifier() throws(TemplateError) -> String {
    guard case .name(let name) = current.kind else { throw unexpected("a name") }
    advance()
    return name
  }

  mutating func expectBlockEnd() throws(TemplateError) {
    guard current.kind == .blockEnd else { throw unexpected("the tag's end") }
    advance()
  }

  func unexpected(_ wanted: String = "") -> TemplateError {
    let found =
      switch current.kind {
      case .text: "text"
      case .variableBegin, .blockBegin: "a tag"
      case .variableEnd, .blockEnd: "the tag's end"
      case .name(let name): "'\(name.prefix(60))'"
      case .string: "a string"
      case .integer, .number: "a number"
      case .symbol(let symbol): "'\(symbol)'"
      case .end: "the end of the template"
      }
    return TemplateError(.syntax, "\(found) is not expected here\(wanted.isEmpty ? "" : ", but \(wanted)")", line: line)
  }

  /// Runs a part one level deeper.
  mutating func nested<Result>(_ body: (inout Self) throws(TemplateError) -> Result) throws(TemplateError) -> Result {
    depth += 1
    defer { depth -= 1 }
    guard depth <= Self.maximumDepth else {
      throw TemplateError(.limit, "more than \(Self.maximumDepth) levels of nesting", line: line)
    }
    return try body(&self)
  }

  /// Statements up to a tag that starts with one of the words, whose start and word are passed over; returned in `ended`.
  private mutating func statements(until words: Set<String>, ended: inout String) throws(TemplateError) -> [TemplateStatement] {
    var result: [TemplateStatement] = []
    while true {
      let line = line
      switch current.kind {
      case .text(let text):
        advance()
        result.append(TemplateStatement(kind: .text(text), line: line))
      case .variableBegin:
        advance()
        result.append(TemplateStatement(kind: .output(try tupleOrExpression()), line: line))
        guard current.kind == .variableEnd else { throw unexpected("'}}'") }
        advance()
      case .blockBegin:
        advance()
        let word = try identifier()
        if words.contains(word) {
          ended = word
          return result
        }
        result += try nested { parser throws(TemplateError) in try parser.statement(word, line: line) }
      default:
        guard words.isEmpty else { throw unexpected("a tag with \(words.sorted().joined(separator: " or "))") }
        return result
      }
    }
  }

  private mutating func statements(until words: Set<String>) throws(TemplateError) -> [TemplateStatement] {
    var ended = ""
    return try statements(until: words, ended: &ended)
  }

  /// The body of a block, to behind its end tag.
  private mutating func body(until word: String) throws(TemplateError) -> [TemplateStatement] {
    try expectBlockEnd()
    let body = try statements(until: [word])
    // The name of a macro may be told again.
    if word == "endmacro", case .name = current.kind { advance() }
    try expectBlockEnd()
    return body
  }

  private mutating func statement(_ word: String, line: Int) throws(TemplateError) -> [TemplateStatement] {
    let kind: TemplateStatement.Kind
    switch word {
    case "if": kind = try branches()
    case "for": kind = try loop()
    case "set": kind = try assignment()
    case "macro": kind = .macro(try macro())
    case "generation":
      hasGeneration = true
      kind = .generation(try outsideLoops { parser throws(TemplateError) in try parser.body(until: "endgeneration") })
    case "filter":
      let filters = try filterChain()
      kind = .filtered(filters, body: try outsideLoops { parser throws(TemplateError) in try parser.body(until: "endfilter") })
    case "with": kind = try scope()
    case "break", "continue":
      guard loops > 0 else { throw TemplateError(.syntax, "'\(word)' is in no loop", line: line) }
      try expectBlockEnd()
      kind = word == "break" ? .breakLoop : .continueLoop
    case "else", "elif", "endif", "endfor", "endset", "endmacro", "endgeneration", "endfilter", "endwith":
      throw TemplateError(.syntax, "'\(word)' has no beginning", line: line)
    default: throw TemplateError.unsupported("the tag '\(word.prefix(60))'", line: line)
    }
    return [TemplateStatement(kind: kind, line: line)]
  }

  private mutating func branches() throws(TemplateError) -> TemplateStatement.Kind {
    var branches: [(condition: TemplateExpression, body: [TemplateStatement])] = []
    while true {
      let condition = try tupleOrExpression(allowsConditional: false)
      try expectBlockEnd()
      var ended = ""
      branches.append((condition, try statements(until: ["elif", "else", "endif"], ended: &ended)))
      switch ended {
      case "elif": continue
      case "else": return .branches(branches, otherwise: try body(until: "endif"))
      default:
        try expectBlockEnd()
        return .branches(branches, otherwise: [])
      }
    }
  }

  private mutating func loop() throws(TemplateError) -> TemplateStatement.Kind {
    let target = try target(allowsAttribute: false)
    try expect(name: "in")
    let sequence = try tupleOrExpression(allowsConditional: false)
    let condition = skip(name: "if") ? try expression() : nil
    if isName("recursive") { throw TemplateError.unsupported("a recursive loop", line: line) }
    try expectBlockEnd()
    var ended = ""
    loops += 1
    let body = try statements(until: ["else", "endfor"], ended: &ended)
    loops -= 1
    var otherwise: [TemplateStatement] = []
    if ended == "else" { otherwise = try self.body(until: "endfor") } else { try expectBlockEnd() }
    return .loop(TemplateLoop(target: target, sequence: sequence, condition: condition, body: body, otherwise: otherwise))
  }

  private mutating func target(allowsAttribute: Bool) throws(TemplateError) -> TemplateTarget {
    var targets: [TemplateTarget] = []
    let isBracketed = skip(symbol: "(")
    var isTuple = false
    repeat {
      if isBracketed, isSymbol(")") { break }
      let name = try identifier()
      if Self.reserved.contains(name) { throw TemplateError(.syntax, "'\(name)' cannot be assigned to", line: line) }
      if allowsAttribute, skip(symbol: ".") {
        targets.append(.attribute(of: name, try identifier()))
      } else {
        targets.append(.name(name))
      }
      if isSymbol(",") { isTuple = true }
    } while skip(symbol: ",") && !isName("in") && !isSymbol("=")
    if isBracketed { try expect(symbol: ")") }
    return targets.count == 1 && !isTuple ? targets[0] : .tuple(targets)
  }

  private mutating func assignment() throws(TemplateError) -> TemplateStatement.Kind {
    let target = try target(allowsAttribute: true)
    if skip(symbol: "=") {
      let value = try tupleOrExpression()
      try expectBlockEnd()
      return .assign(target, value)
    }
    var filters: [TemplateFilterUse] = []
    if skip(symbol: "|") { filters = try filterChain() }
    let body = try outsideLoops { parser throws(TemplateError) in try parser.body(until: "endset") }
    return .assignBlock(target, filters: filters, body: body)
  }

  private mutating func scope() throws(TemplateError) -> TemplateStatement.Kind {
    var values: [(target: TemplateTarget, value: TemplateExpression)] = []
    while current.kind != .blockEnd {
      if !values.isEmpty { try expect(symbol: ",") }
      let name = try identifier()
      try expect(symbol: "=")
      values.append((.name(name), try expression()))
    }
    return .scope(values, body: try body(until: "endwith"))
  }

  /// Reads the body of something that runs as a function of its own: no `break` leaves it.
  private mutating func outsideLoops<Result>(
    _ body: (inout Self) throws(TemplateError) -> Result
  ) throws(TemplateError) -> Result {
    let outer = loops
    loops = 0
    defer { loops = outer }
    return try body(&self)
  }

  private mutating func macro() throws(TemplateError) -> TemplateMacro {
    let name = try identifier()
    try expect(symbol: "(")
    var parameters: [(name: String, fallback: TemplateExpression?)] = []
    while !isSymbol(")") {
      if !parameters.isEmpty { try expect(symbol: ",") }
      let parameter = try identifier()
      let fallback = skip(symbol: "=") ? try expression() : nil
      if fallback == nil, parameters.last?.fallback != nil {
        throw TemplateError(.syntax, "the parameter '\(parameter)' needs a default, as the one before has one", line: line)
      }
      parameters.append((parameter, fallback))
    }
    advance()
    let body = try outsideLoops { parser throws(TemplateError) in try parser.body(until: "endmacro") }
    return TemplateMacro(name: name, parameters: parameters, body: body)
  }

  static let reserved: Set<String> = ["true", "false", "none", "True", "False", "None"]
}
