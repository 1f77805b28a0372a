extension TemplateParser {
  /// An expression, or several with commas between them, which are a tuple.
  mutating func tupleOrExpression(allowsConditional: Bool = true) throws(TemplateError) -> TemplateExpression {
    let line = line
    var items: [TemplateExpression] = []
    var isTuple = false
    repeat {
      if !items.isEmpty, endsTuple { break }
      items.append(allowsConditional ? try expression() : try disjunction())
      if isSymbol(",") { isTuple = true }
    } while skip(symbol: ",")
    if !isTuple { return items[0] }
    return try node(.tuple(items), line, items)
  }

  private var endsTuple: Bool {
    switch current.kind {
    case .variableEnd, .blockEnd, .symbol(")"): true
    default: false
    }
  }

  /// A whole expression, `a if b else c` included.
  mutating func expression() throws(TemplateError) -> TemplateExpression {
    try nested { parser throws(TemplateError) in
      let line = parser.line
      var value = try parser.disjunction()
      while parser.skip(name: "if") {
        let condition = try parser.disjunction()
        let otherwise = parser.skip(name: "else") ? try parser.expression() : nil
        value = try parser.node(
          .conditional(condition: condition, value: value, otherwise: otherwise), line,
          [condition, value] + (otherwise.map { [$0] } ?? []))
      }
      return value
    }
  }

  /// Builds a node, unless it is too deep.
  func node(_ kind: TemplateExpression.Kind, _ line: Int, _ parts: [TemplateExpression] = []) throws(TemplateError) -> TemplateExpression {
    try node(kind, line, below: parts.map(\.depth).max() ?? 0)
  }

  func node(_ kind: TemplateExpression.Kind, _ line: Int, below depth: Int) throws(TemplateError) -> TemplateExpression {
    guard depth < Self.maximumDepth else {
      throw TemplateError(.limit, "an expression of more than \(Self.maximumDepth) levels", line: line)
    }
    return TemplateExpression(kind, line: line, depth: depth + 1)
  }

  private mutating func disjunction() throws(TemplateError) -> TemplateExpression {
    let line = line
    var left = try conjunction()
    while skip(name: "or") {
      let right = try conjunction()
      left = try node(.or(left, right), line, [left, right])
    }
    return left
  }

  private mutating func conjunction() throws(TemplateError) -> TemplateExpression {
    let line = line
    var left = try negation()
    while skip(name: "and") {
      let right = try negation()
      left = try node(.and(left, right), line, [left, right])
    }
    return left
  }

  private mutating func negation() throws(TemplateError) -> TemplateExpression {
    let line = line
    guard skip(name: "not") else { return try comparison() }
    let value = try nested { parser throws(TemplateError) in try parser.negation() }
    return try node(.not(value), line, [value])
  }

  private static let comparisons: Set<String> = ["==", "!=", "<", "<=", ">", ">="]

  private mutating func comparison() throws(TemplateError) -> TemplateExpression {
    let line = line
    let first = try sum()
    var rest: [(sign: String, right: TemplateExpression)] = []
    while true {
      var sign: String?
      if case .symbol(let symbol) = current.kind, Self.comparisons.contains(symbol) {
        sign = symbol
        advance()
      } else if skip(name: "in") {
        sign = "in"
      } else if isName("not"), position + 1 < tokens.count, tokens[position + 1].kind == .name("in") {
        sign = "not in"
        position += 2
      }
      guard let sign else { break }
      rest.append((sign, try sum()))
      try checkChain(rest.count)
    }
    return rest.isEmpty ? first : try node(.comparison(first, rest), line, [first] + rest.map(\.right))
  }

  private func checkChain(_ count: Int) throws(TemplateError) {
    guard count <= Self.maximumChain else {
      throw TemplateError(.limit, "more than \(Self.maximumChain) operators in a row", line: line)
    }
  }

  /// Operands of one precedence with the operators between them.
  private mutating func chain(
    _ signs: Set<String>, of operand: (inout Self) throws(TemplateError) -> TemplateExpression
  ) throws(TemplateError) -> TemplateExpression {
    let line = line
    let first = try operand(&self)
    var rest: [(sign: String, right: TemplateExpression)] = []
    while case .symbol(let symbol) = current.kind, signs.contains(symbol) {
      advance()
      rest.append((symbol, try operand(&self)))
      try checkChain(rest.count)
    }
    return rest.isEmpty ? first : try node(.arithmetic(first, rest), line, [first] + rest.map(\.right))
  }

  private mutating func sum() throws(TemplateError) -> TemplateExpression {
    try chain(["+", "-"]) { parser throws(TemplateError) in try parser.concatenation() }
  }

  private mutating func concatenation() throws(TemplateError) -> TemplateExpression {
    let line = line
    var parts = [try product()]
    while skip(symbol: "~") {
      parts.append(try product())
      try checkChain(parts.count)
    }
    return parts.count == 1 ? parts[0] : try node(.concatenation(parts), line, parts)
  }

  private mutating func product() throws(TemplateError) -> TemplateExpression {
    try chain(["*", "/", "//", "%"]) { parser throws(TemplateError) in
      try parser.chain(["**"]) { parser throws(TemplateError) in try parser.unary(withFilters: true) }
    }
  }

  private mutating func unary(withFilters: Bool) throws(TemplateError) -> TemplateExpression {
    let line = line
    var value: TemplateExpression
    if skip(symbol: "-") {
      let operand = try nested { parser throws(TemplateError) in try parser.unary(withFilters: false) }
      value = try node(.negative(operand), line, [operand])
    } else if skip(symbol: "+") {
      let operand = try nested { parser throws(TemplateError) in try parser.unary(withFilters: false) }
      value = try node(.positive(operand), line, [operand])
    } else {
      value = try primary()
    }
    value = try postfix(value)
    return withFilters ? try filtersAndTests(value) : value
  }

  private mutating func primary() throws(TemplateError) -> TemplateExpression {
    let token = current
    let line = token.line
    switch token.kind {
    case .name(let name):
      advance()
      switch name {
      case "true", "True": return try node(.bool(true), line)
      case "false", "False": return try node(.bool(false), line)
      case "none", "None": return try node(.none, line)
      default: return try node(.name(name), line)
      }
    case .string(var text):
      advance()
      // Strings beside one another are one.
      while case .string(let more) = current.kind {
        advance()
        text += more
      }
      return try node(.string(text), line)
    case .integer(let value):
      advance()
      return try node(.integer(value), line)
    case .number(let value):
      advance()
      return try node(.number(value), line)
    case .symbol("("):
      advance()
      if skip(symbol: ")") { return try node(.tuple([]), line) }
      let value = try nested { parser throws(TemplateError) in try parser.tupleOrExpression() }
      try expect(symbol: ")")
      return value
    case .symbol("["):
      advance()
      var items: [TemplateExpression] = []
      while !isSymbol("]") {
        if !items.isEmpty { try expect(symbol: ",") }
        if isSymbol("]") { break }
        items.append(try expression())
      }
      advance()
      return try node(.list(items), line, items)
    case .symbol("{"): return try mapping()
    default: throw unexpected("a value")
    }
  }

  private mutating func mapping() throws(TemplateError) -> TemplateExpression {
    let line = line
    advance()
    var members: [(key: TemplateExpression, value: TemplateExpression)] = []
    while !isSymbol("}") {
      if !members.isEmpty { try expect(symbol: ",") }
      if isSymbol("}") { break }
      let key = try expression()
      try expect(symbol: ":")
      members.append((key, try expression()))
    }
    advance()
    return try node(.mapping(members), line, members.flatMap { [$0.key, $0.value] })
  }

  /// Attributes, subscripts and calls behind a value.
  private mutating func postfix(_ base: TemplateExpression) throws(TemplateError) -> TemplateExpression {
    var value = base
    while true {
      let line = line
      if skip(symbol: ".") {
        switch current.kind {
        case .name(let name):
          advance()
          value = try node(.attribute(value, name), line, [value])
        case .integer(let index):
          advance()
          value = try node(.subscription(value, try node(.integer(index), line)), line, [value])
        default: throw unexpected("a name or a number")
        }
      } else if skip(symbol: "[") {
        value = try subscription(of: value, line: line)
      } else if isSymbol("(") {
        value = try call(value)
      } else {
        return value
      }
    }
  }

  private mutating func subscription(of value: TemplateExpression, line: Int) throws(TemplateError) -> TemplateExpression {
    var bounds: [TemplateExpression?] = [nil]
    var isSlice = false
    while !isSymbol("]") {
      if skip(symbol: ":") {
        isSlice = true
        bounds.append(nil)
        guard bounds.count <= 3 else { throw unexpected("']'") }
      } else {
        guard bounds[bounds.count - 1] == nil else { throw unexpected("']'") }
        bounds[bounds.count - 1] = try expression()
      }
    }
    advance()
    let parts = bounds.compactMap { $0 }
    if isSlice {
      let kind = TemplateExpression.Kind.slice(
        value, start: bounds[0], stop: bounds[1], step: bounds.count > 2 ? bounds[2] : nil)
      return try node(kind, line, [value] + parts)
    }
    guard let index = parts.first else { throw TemplateError(.syntax, "a subscript is empty", line: line) }
    return try node(.subscription(value, index), line, [value, index])
  }

  private mutating func call(_ function: TemplateExpression) throws(TemplateError) -> TemplateExpression {
    let line = line
    let arguments = try arguments()
    return try node(.call(function, arguments), line, below: max(function.depth, arguments.depth))
  }

  private mutating func arguments() throws(TemplateError) -> TemplateArguments {
    try expect(symbol: "(")
    var arguments = TemplateArguments()
    var isFirst = true
    while !isSymbol(")") {
      if !isFirst { try expect(symbol: ",") }
      if isSymbol(")") { break }
      isFirst = false
      if isSymbol("*") || isSymbol("**") { throw TemplateError.unsupported("the spreading of arguments", line: line) }
      if case .name(let name) = current.kind, position + 1 < tokens.count, tokens[position + 1].kind == .symbol("=") {
        position += 2
        arguments.named.append((name, try expression()))
      } else {
        guard arguments.named.isEmpty else {
          throw TemplateError(.syntax, "an argument without a name follows one with a name", line: line)
        }
        arguments.positional.append(try expression())
      }
    }
    advance()
    return arguments
  }

  private mutating func filtersAndTests(_ base: TemplateExpression) throws(TemplateError) -> TemplateExpression {
    var value = base
    while true {
      if skip(symbol: "|") {
        let use = try filter()
        value = try node(.filter(value, use), use.line, below: max(value.depth, use.arguments.depth))
      } else if isName("is") {
        value = try test(value)
      } else if isSymbol("(") {
        value = try call(value)
      } else {
        return value
      }
    }
  }

  private mutating func dottedName() throws(TemplateError) -> String {
    var name = try identifier()
    while skip(symbol: ".") { name += ".\(try identifier())" }
    return name
  }

  private mutating func filter() throws(TemplateError) -> TemplateFilterUse {
    let line = line
    let name = try dottedName()
    return TemplateFilterUse(name: name, arguments: isSymbol("(") ? try arguments() : TemplateArguments(), line: line)
  }

  /// `a(x) | b | c`, where the first has no bar before it.
  mutating func filterChain() throws(TemplateError) -> [TemplateFilterUse] {
    var filters: [TemplateFilterUse] = []
    repeat { filters.append(try filter()) } while skip(symbol: "|")
    return filters
  }

  private mutating func test(_ value: TemplateExpression) throws(TemplateError) -> TemplateExpression {
    let line = line
    advance()
    let isNegated = skip(name: "not")
    let name = try dottedName()
    var arguments = TemplateArguments()
    switch current.kind {
    case .symbol("("): arguments = try self.arguments()
    case .name("else"), .name("or"), .name("and"): break
    case .name("is"): throw TemplateError(.syntax, "tests with 'is' cannot be chained", line: line)
    case .name, .string, .integer, .number, .symbol("["), .symbol("{"):
      arguments.positional = [try postfix(try primary())]
    default: break
    }
    return try node(.test(value, name, arguments, isNegated: isNegated), line, below: max(value.depth, arguments.depth))
  }
}
