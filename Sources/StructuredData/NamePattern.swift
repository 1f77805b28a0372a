import Diagnostics

/// A regular expression on module names, as the `re:` entries of compressed-tensors write them: Python's syntax, matched like `re.match`,
/// at the start of the name and not necessarily to its end.
///
/// Supported: literals, `.`, classes, `\d \w \s` and their opposites, groups, alternatives, `* + ? {m,n}` greedy or lazy, `^ $ \A \Z \b
/// \B`, and look-ahead. Back-references, look-behind and flags are refused. Patterns come from files, so the matcher follows all
/// alternatives at once (Thompson's construction): its time is bounded by pattern times name, whatever the pattern.
public struct NamePattern: Sendable {
  /// The expression without `re:`.
  public let expression: String
  private let program: Program

  /// Longest name that is looked at, in scalars; longer ones match nothing.
  static let maximumNameLength = 1024
  /// Most states a pattern may need, look-aheads included.
  static let maximumStates = 4_000

  public init(_ expression: String) throws(NamePatternError) {
    self.expression = expression
    var parser = Parser(expression)
    program = try parser.program()
  }

  /// Whether the expression matches at the start of the name.
  public func matches(_ name: String) -> Bool {
    let scalars = Array(name.unicodeScalars.prefix(Self.maximumNameLength + 1))
    guard scalars.count <= Self.maximumNameLength else { return false }
    var memory: [Int: Bool] = [:]
    return program.matches(scalars, at: 0, memory: &memory)
  }
}

/// Why an expression is not acceptable.
public struct NamePatternError: Failure {
  public let kind = FailureKind.usage
  public let subject: String
  public let problem: String
  public let remedy: String

  init(_ expression: String, _ problem: String) {
    subject = "re:\(expression.prefix(160))"
    self.problem = problem
    remedy = "write names in full, or use a simpler expression"
  }
}

extension NamePattern {
  /// What one state asks of the scalar at hand.
  struct ScalarSet: Sendable {
    var ranges: [ClosedRange<UInt32>] = []
    var classes: [(kind: Kind, isNegated: Bool)] = []
    var isNegated = false

    enum Kind: Sendable { case digit, word, space, notNewline }

    func contains(_ scalar: Unicode.Scalar) -> Bool {
      let found = ranges.contains { $0.contains(scalar.value) } || classes.contains { $0.kind.contains(scalar) != $0.isNegated }
      return found != isNegated
    }
  }

  enum Assertion: Sendable { case start, end, endOrNewline, boundary, notBoundary }

  indirect enum State: Sendable {
    case match
    case scalar(ScalarSet, next: Int)
    case split([Int])
    case assert(Assertion, next: Int)
    case look(Program, isNegated: Bool, next: Int)
  }

  /// States that a set of positions walks through; `entry` is the first.
  struct Program: Sendable {
    var states: [State]
    var entry: Int
    /// Distinguishes look-aheads in the memory of results.
    var identity: Int

    func matches(_ name: [Unicode.Scalar], at start: Int, memory: inout [Int: Bool]) -> Bool {
      let key = identity * (NamePattern.maximumNameLength + 1) + start
      if let known = memory[key] { return known }
      var current: [Int] = []
      var marks = Array(repeating: -1, count: states.count)
      var isMatch = add(entry, name, start, &current, &marks, &memory)
      var position = start
      while !isMatch, position < name.count, !current.isEmpty {
        var following: [Int] = []
        for index in current {
          guard case .scalar(let set, let next) = states[index], set.contains(name[position]) else { continue }
          isMatch = add(next, name, position + 1, &following, &marks, &memory) || isMatch
        }
        current = following
        position += 1
      }
      memory[key] = isMatch
      return isMatch
    }

    /// Follows the states that read nothing; returns whether the end was reached.
    private func add(
      _ first: Int, _ name: [Unicode.Scalar], _ position: Int, _ list: inout [Int], _ marks: inout [Int], _ memory: inout [Int: Bool]
    ) -> Bool {
      var pending = [first]
      while let index = pending.popLast() {
        guard marks[index] != position else { continue }
        marks[index] = position
        switch states[index] {
        case .match: return true
        case .scalar: list.append(index)
        case .split(let targets): pending += targets
        case .assert(let assertion, let next):
          if Self.holds(assertion, name, position) { pending.append(next) }
        case .look(let program, let isNegated, let next):
          if program.matches(name, at: position, memory: &memory) != isNegated { pending.append(next) }
        }
      }
      return false
    }

    private static func holds(_ assertion: Assertion, _ name: [Unicode.Scalar], _ position: Int) -> Bool {
      switch assertion {
      case .start: return position == 0
      case .end: return position == name.count
      case .endOrNewline: return position == name.count || (position == name.count - 1 && name[position] == "\n")
      case .boundary, .notBoundary:
        let before = position > 0 && ScalarSet.Kind.word.contains(name[position - 1])
        let after = position < name.count && ScalarSet.Kind.word.contains(name[position])
        return (before != after) == (assertion == .boundary)
      }
    }
  }
}

extension NamePattern.ScalarSet.Kind {
  func contains(_ scalar: Unicode.Scalar) -> Bool {
    switch self {
    case .digit: scalar.properties.numericType == .decimal
    case .word: scalar == "_" || scalar.properties.isAlphabetic || scalar.properties.numericType != nil
    case .space: scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
    case .notNewline: scalar != "\n"
    }
  }
}
