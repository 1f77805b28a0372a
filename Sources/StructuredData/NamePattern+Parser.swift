extension NamePattern {
  /// Turns an expression into states. Fragments are built back to front: each is given the state that follows it.
  struct Parser {
    private let expression: String
    private let scalars: [Unicode.Scalar]
    private var position = 0
    private var depth = 0
    private var programs = 0
    private var built = 0

    /// An expression as a tree, so that counted repetition can build its body several times.
    private indirect enum Node {
      case set(ScalarSet)
      case assert(Assertion)
      case look(Node, isNegated: Bool)
      case sequence([Node])
      case alternatives([Node])
      case repetition(Node, minimum: Int, maximum: Int?)
    }

    init(_ expression: String) {
      self.expression = expression
      scalars = Array(expression.unicodeScalars)
    }

    mutating func program() throws(NamePatternError) -> Program {
      guard scalars.count <= maximumStates else { throw failure("it is too long") }
      let node = try alternatives()
      guard position == scalars.count else { throw failure("a closing parenthesis has no opening one") }
      return try program(node)
    }

    private func failure(_ problem: String) -> NamePatternError { NamePatternError(expression, problem) }
    private func peek(_ ahead: Int = 0) -> Unicode.Scalar? {
      position + ahead < scalars.count ? scalars[position + ahead] : nil
    }
    private mutating func take(_ scalar: Unicode.Scalar) -> Bool {
      guard peek() == scalar else { return false }
      position += 1
      return true
    }

    // MARK: Syntax

    private mutating func alternatives() throws(NamePatternError) -> Node {
      depth += 1
      defer { depth -= 1 }
      guard depth <= 50 else { throw failure("its groups are nested too deeply") }
      var branches = [try sequence()]
      while take("|") { branches.append(try sequence()) }
      return branches.count == 1 ? branches[0] : .alternatives(branches)
    }

    private mutating func sequence() throws(NamePatternError) -> Node {
      var parts: [Node] = []
      while let next = peek(), next != "|", next != ")" {
        var node = try atom()
        if let (minimum, maximum) = try quantifier() {
          if case .assert = node { throw failure("nothing to repeat") }
          if take("+") { throw failure("possessive repetition is not supported") }
          // Lazy or greedy makes no difference to whether there is a match.
          _ = take("?")
          node = .repetition(node, minimum: minimum, maximum: maximum)
          if try quantifier() != nil { throw failure("a repetition is repeated") }
        }
        parts.append(node)
      }
      return .sequence(parts)
    }

    private mutating func quantifier() throws(NamePatternError) -> (Int, Int?)? {
      if take("*") { return (0, nil) }
      if take("+") { return (1, nil) }
      if take("?") { return (0, 1) }
      guard peek() == "{" else { return nil }
      let start = position
      position += 1
      let lower = number()
      let hasComma = take(",")
      let upper = hasComma ? number() : lower
      // As in Python, a brace that is no count is a literal.
      guard take("}"), lower != nil || hasComma else {
        position = start
        return nil
      }
      if let lower, let upper, lower > upper { throw failure("a repetition has its bounds the wrong way round") }
      if max(lower ?? 0, upper ?? 0) > 1000 { throw failure("a repetition count is above 1000") }
      return (lower ?? 0, upper)
    }

    private mutating func number() -> Int? {
      var value: Int?
      while let digit = peek(), ("0"..."9").contains(digit) {
        value = min((value ?? 0) * 10 + Int(digit.value - 48), 1_000_000)
        position += 1
      }
      return value
    }

    private mutating func atom() throws(NamePatternError) -> Node {
      guard let scalar = peek() else { throw failure("it ends too early") }
      position += 1
      switch scalar {
      case "(": return try group()
      case "[": return .set(try bracket())
      case ".": return .set(ScalarSet(classes: [(.notNewline, false)]))
      case "^": return .assert(.start)
      case "$": return .assert(.endOrNewline)
      case "\\": return try escape()
      case "*", "+", "?": throw failure("nothing to repeat")
      default: return .set(ScalarSet(ranges: [scalar.value...scalar.value]))
      }
    }

    private mutating func group() throws(NamePatternError) -> Node {
      var look: Bool?
      if take("?") {
        if take("P") {
          guard take("<") else { throw failure("references to groups are not supported") }
          while let next = peek(), next != ">", next != ")" { position += 1 }
          guard take(">") else { throw failure("a group's name does not end") }
        } else if take("=") {
          look = false
        } else if take("!") {
          look = true
        } else if !take(":") {
          throw failure("look-behind and flags are not supported")
        }
      }
      let node = try alternatives()
      guard take(")") else { throw failure("a group does not end") }
      return look.map { .look(node, isNegated: $0) } ?? node
    }

    private mutating func escape() throws(NamePatternError) -> Node {
      switch peek() {
      case "A": position += 1; return .assert(.start)
      case "Z": position += 1; return .assert(.end)
      case "b": position += 1; return .assert(.boundary)
      case "B": position += 1; return .assert(.notBoundary)
      default:
        var set = ScalarSet()
        try escapedScalar(into: &set)
        return .set(set)
      }
    }

    /// The class or the literal after a backslash.
    private mutating func escapedScalar(into set: inout ScalarSet) throws(NamePatternError) {
      guard let scalar = peek() else { throw failure("it ends in a backslash") }
      position += 1
      switch scalar {
      case "d": set.classes.append((.digit, false))
      case "D": set.classes.append((.digit, true))
      case "w": set.classes.append((.word, false))
      case "W": set.classes.append((.word, true))
      case "s": set.classes.append((.space, false))
      case "S": set.classes.append((.space, true))
      case "n": set.ranges.append(10...10)
      case "t": set.ranges.append(9...9)
      case "r": set.ranges.append(13...13)
      case "0"..."9": throw failure("references to groups are not supported")
      case "a"..."z", "A"..."Z": throw failure("the escape \\\(scalar) is not supported")
      default: set.ranges.append(scalar.value...scalar.value)
      }
    }

    private mutating func bracket() throws(NamePatternError) -> ScalarSet {
      var set = ScalarSet(isNegated: take("^"))
      var isFirst = true
      while let scalar = peek(), scalar != "]" || isFirst {
        isFirst = false
        position += 1
        var low = scalar.value
        if scalar == "\\" {
          var part = ScalarSet()
          try escapedScalar(into: &part)
          guard part.classes.isEmpty, let literal = part.ranges.first else {
            set.classes += part.classes
            continue
          }
          low = literal.lowerBound
        }
        guard peek() == "-", let end = peek(1), end != "]" else {
          set.ranges.append(low...low)
          continue
        }
        position += 2
        var high = end.value
        if end == "\\" {
          var part = ScalarSet()
          try escapedScalar(into: &part)
          guard part.classes.isEmpty, let literal = part.ranges.first else { throw failure("a range ends in a class") }
          high = literal.lowerBound
        }
        guard low <= high else { throw failure("a range has its ends the wrong way round") }
        set.ranges.append(low...high)
      }
      guard take("]") else { throw failure("a class does not end") }
      return set
    }

    // MARK: States

    private mutating func program(_ node: Node) throws(NamePatternError) -> Program {
      var program = Program(states: [.match], entry: 0, identity: programs)
      programs += 1
      program.entry = try build(node, before: 0, in: &program.states)
      return program
    }

    private func append(_ state: State, to states: inout [State]) -> Int {
      states.append(state)
      return states.count - 1
    }

    private mutating func build(_ node: Node, before next: Int, in states: inout [State]) throws(NamePatternError) -> Int {
      // Counted repetitions multiply, also of nothing: what is built is counted, not only what remains.
      built += 1
      guard built <= maximumStates else { throw failure("it needs more than \(maximumStates) states") }
      switch node {
      case .set(let set): return append(.scalar(set, next: next), to: &states)
      case .assert(let assertion): return append(.assert(assertion, next: next), to: &states)
      case .look(let body, let isNegated):
        let program = try program(body)
        return append(.look(program, isNegated: isNegated, next: next), to: &states)
      case .sequence(let parts):
        var entry = next
        for part in parts.reversed() { entry = try build(part, before: entry, in: &states) }
        return entry
      case .alternatives(let branches):
        var entries: [Int] = []
        for branch in branches { entries.append(try build(branch, before: next, in: &states)) }
        return append(.split(entries), to: &states)
      case .repetition(let body, let minimum, let maximum):
        var entry = next
        if let maximum {
          for _ in minimum..<max(minimum, maximum) {
            let body = try build(body, before: entry, in: &states)
            entry = append(.split([body, next]), to: &states)
          }
        } else {
          let loop = append(.split([]), to: &states)
          states[loop] = .split([try build(body, before: loop, in: &states), next])
          entry = loop
        }
        for _ in 0..<minimum { entry = try build(body, before: entry, in: &states) }
        return entry
      }
    }
  }
}
