/// The syntax tree of an expression.
indirect enum PatternNode: Sendable {
  /// One scalar of a set.
  case set(ScalarSet)
  case sequence([PatternNode])
  case alternation([PatternNode])
  /// `maximum` is nil without bound.
  case quantified(PatternNode, minimum: Int, maximum: Int?, Greed)
  /// `(?=` `(?!`
  case lookahead(PatternNode, negated: Bool)
  /// `(?<=` `(?<!`
  case lookbehind(PatternNode, negated: Bool)
  /// `(?>`
  case atomic(PatternNode)
  case assertion(PatternAssertion)

  enum Greed: UInt8, Sendable { case greedy, lazy, possessive }
}

/// Conditions on a position, as Oniguruma has them: `^` and `$` always mean lines.
enum PatternAssertion: Int32 {
  case lineStart, lineEnd, textStart, textEnd, textEndOrFinalNewline, wordBoundary, notWordBoundary
}

/// What a match of a node can begin with.
struct PatternStart {
  /// A superset of the scalars that a non-empty match begins with.
  var set: ScalarSet
  /// Whether the node can match without taking a scalar.
  var isNullable: Bool
  /// Whether it may look at the text around the position before it takes a scalar.
  var isConditional: Bool
}

extension PatternNode {
  var start: PatternStart {
    switch self {
    case .set(let set): return PatternStart(set: set, isNullable: false, isConditional: false)
    case .sequence(let nodes): return Self.start(of: nodes[...])
    case .alternation(let nodes):
      let starts = nodes.map(\.start)
      return PatternStart(
        set: ScalarSet(merging: starts.flatMap(\.set.ranges)), isNullable: starts.contains(where: \.isNullable),
        isConditional: starts.contains(where: \.isConditional))
    case .quantified(let node, let minimum, let maximum, _):
      if maximum == 0 { return PatternStart(set: .none, isNullable: true, isConditional: false) }
      var start = node.start
      if minimum == 0 { start.isNullable = true }
      return start
    case .atomic(let node): return node.start
    case .lookahead, .lookbehind, .assertion: return PatternStart(set: .none, isNullable: true, isConditional: true)
    }
  }

  static func start(of nodes: ArraySlice<PatternNode>) -> PatternStart {
    var result = PatternStart(set: .none, isNullable: true, isConditional: false)
    for node in nodes {
      let start = node.start
      result.set = result.set.union(start.set)
      result.isConditional = result.isConditional || start.isConditional
      if !start.isNullable {
        result.isNullable = false
        return result
      }
    }
    return result
  }

  private static let maximumWidth = 1000

  /// How many scalars every match takes; nil when that varies or is beyond reason.
  var width: Int? {
    switch self {
    case .set: return 1
    case .sequence(let nodes):
      var total = 0
      for node in nodes {
        guard let width = node.width, total + width <= Self.maximumWidth else { return nil }
        total += width
      }
      return total
    case .alternation(let nodes):
      guard let first = nodes.first?.width, nodes.allSatisfy({ $0.width == first }) else { return nil }
      return first
    case .quantified(let node, let minimum, let maximum, _):
      guard minimum == maximum, minimum <= Self.maximumWidth, let width = node.width else { return nil }
      return width * minimum <= Self.maximumWidth ? width * minimum : nil
    case .atomic(let node): return node.width
    case .lookahead, .lookbehind, .assertion: return 0
    }
  }
}
