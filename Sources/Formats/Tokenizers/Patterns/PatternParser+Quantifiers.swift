extension PatternParser {
  /// Wraps an element in the quantifiers that follow it; they may be stacked, as in `a+*`.
  mutating func quantified(_ atom: PatternNode) throws(PatternError) -> PatternNode {
    var node = atom
    while let next = peek() {
      var minimum = 0
      var maximum: Int?
      var greed = PatternNode.Greed.greedy
      switch next {
      case "*": position += 1
      case "+":
        position += 1
        minimum = 1
      case "?":
        position += 1
        maximum = 1
      case "{":
        guard let interval = try interval() else { return node }
        (minimum, maximum) = interval.bounds
        if interval.isReversed { greed = .possessive }
        // An exact or reversed count has one greed: a "?" after it is a quantifier of its own, and so is every "+".
        if minimum != maximum, !interval.isReversed, take("?") { greed = .lazy }
        node = try wrap(node, minimum, maximum, greed)
        continue
      default: return node
      }
      if take("?") { greed = .lazy } else if take("+") { greed = .possessive }
      node = try wrap(node, minimum, maximum, greed)
    }
    return node
  }

  private func wrap(
    _ node: PatternNode, _ minimum: Int, _ maximum: Int?, _ greed: PatternNode.Greed
  ) throws(PatternError) -> PatternNode {
    // Stacked quantifiers nest without parentheses: bound what the recursive passes have to descend.
    guard node.quantifierDepth < Self.maximumStackedQuantifiers else { throw .malformed("stacks too many quantifiers") }
    return .quantified(node, minimum: minimum, maximum: maximum, greed)
  }

  /// `{n}` `{n,}` `{,m}` `{n,m}`; nil when the brace is an ordinary character, which it then stays.
  private mutating func interval() throws(PatternError) -> (bounds: (Int, Int?), isReversed: Bool)? {
    var index = position + 1
    func number() -> (value: Int?, end: Int) {
      var end = index
      var value = 0
      while end < source.count, (0x30...0x39).contains(source[end]) {
        value = min(value * 10 + Int(source[end] - 0x30), Self.maximumRepeat + 1)
        end += 1
      }
      return (end == index ? nil : value, end)
    }
    let low = number()
    index = low.end
    var high = low
    let hasComma = index < source.count && source[index] == 0x2C
    if hasComma {
      index += 1
      high = number()
      index = high.end
    }
    guard index < source.count, source[index] == 0x7D, low.value != nil || high.value != nil else { return nil }
    guard (low.value ?? 0) <= Self.maximumRepeat, (high.value ?? 0) <= Self.maximumRepeat else {
      throw .malformed("repeats more than \(Self.maximumRepeat) times")
    }
    position = index + 1
    let minimum = low.value ?? 0
    if let maximum = high.value, maximum < minimum { return ((maximum, minimum), true) }
    return ((minimum, high.value), false)
  }
}

extension PatternNode {
  /// How many quantifiers are stacked directly on one another.
  fileprivate var quantifierDepth: Int {
    var depth = 0
    var node = self
    while case .quantified(let inner, _, _, _) = node {
      depth += 1
      node = inner
    }
    return depth
  }
}
