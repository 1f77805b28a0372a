/// Turns a syntax tree into a program.
///
/// A greedy run of one set gives nothing back when what follows cannot begin with a member of the set: such runs become
/// possessive, which makes the pre-tokenizers' expressions linear. Alternatives are chosen by what they can begin with.
struct PatternCompiler {
  var program = PatternProgram()
  private var setIndices: [(set: ScalarSet, index: Int32)] = []
  private var effort = 0

  static let maximumInstructions = 20_000
  static let maximumEffort = 100_000
  static let maximumSets = 512

  /// What may come after a node where giving scalars back could help.
  struct Follow {
    var set: ScalarSet
    var isUnknown: Bool
    /// The end of the expression: it matches whatever comes.
    static let end = Follow(set: .none, isUnknown: false)

    func preceded(by start: PatternStart) -> Follow {
      Follow(
        set: start.isNullable ? start.set.union(set) : start.set, isUnknown: start.isConditional || start.isNullable && isUnknown)
    }
  }

  static func compile(_ node: PatternNode) throws(PatternError) -> PatternProgram {
    var compiler = PatternCompiler()
    if case .alternation = node {
      try compiler.emit(node, .end)
    } else {
      try compiler.emitChoice([node], .end)
    }
    try compiler.append(.init(operation: .accept))
    return compiler.program
  }

  var here: Int32 { Int32(program.instructions.count) }

  @discardableResult
  mutating func append(_ instruction: PatternProgram.Instruction) throws(PatternError) -> Int {
    guard program.instructions.count < Self.maximumInstructions else { throw .malformed("is too large") }
    program.instructions.append(instruction)
    return program.instructions.count - 1
  }

  mutating func emit(_ node: PatternNode, _ follow: Follow) throws(PatternError) {
    effort += 1
    guard effort < Self.maximumEffort else { throw .malformed("is too large") }
    switch node {
    case .set(let set): try emitSet(set)
    case .sequence(let nodes):
      var follows: [Follow] = []
      var after = follow
      for node in nodes.reversed() {
        follows.append(after)
        after = after.preceded(by: node.start)
      }
      for (node, follow) in zip(nodes, follows.reversed()) { try emit(node, follow) }
    case .alternation(let nodes): try emitChoice(nodes, follow)
    case .quantified(let body, let minimum, let maximum, let greed):
      if case .set(let set) = body {
        try emitRun(of: set, minimum, maximum, greed, follow)
      } else {
        try emitLoop(body, minimum, maximum, greed, follow)
      }
    case .lookahead(let body, let isNegated):
      if case .set(let set) = body {
        try append(.init(operation: .peekSet, isNegated: isNegated, first: try index(of: set)))
      } else {
        try emitNested(.init(operation: .lookahead, isNegated: isNegated), body)
      }
    case .lookbehind(let body, let isNegated): try emitLookbehind(body, isNegated, follow)
    case .atomic(let body): try emitNested(.init(operation: .atomic), body)
    case .assertion(let assertion): try append(.init(operation: .assertion, first: assertion.rawValue))
    }
  }

  private mutating func emitSet(_ set: ScalarSet) throws(PatternError) {
    if set.ranges.count == 1, let range = set.ranges.first, range.count == 1 {
      try append(.init(operation: range.lowerBound < 0x80 ? .byte : .scalar, first: Int32(range.lowerBound)))
    } else {
      try append(.init(operation: .set, first: try index(of: set)))
    }
  }

  private mutating func emitRun(
    of set: ScalarSet, _ minimum: Int, _ maximum: Int?, _ greed: PatternNode.Greed, _ follow: Follow
  ) throws(PatternError) {
    var greed = greed
    if greed == .greedy, !follow.isUnknown, follow.set.isDisjoint(with: set) { greed = .possessive }
    try append(
      .init(
        operation: .repeatSet, greed: greed, first: try index(of: set), second: Int32(minimum),
        third: maximum.map { Int32($0) } ?? -1))
  }

  private mutating func emitNested(
    _ instruction: PatternProgram.Instruction, _ body: PatternNode
  ) throws(PatternError) {
    let start = try append(instruction)
    try emit(body, .end)
    try append(.init(operation: .accept))
    program.instructions[start].first = here
  }

  private mutating func emitLookbehind(
    _ body: PatternNode, _ isNegated: Bool, _ follow: Follow
  ) throws(PatternError) {
    if let width = body.width {
      try emitNested(.init(operation: .lookbehind, isNegated: isNegated, second: Int32(width)), body)
    } else if case .alternation(let branches) = body {
      let parts = branches.map { PatternNode.lookbehind($0, negated: isNegated) }
      try emit(isNegated ? .sequence(parts) : .alternation(parts), follow)
    } else {
      throw .unsupported("a look-behind of varying length")
    }
  }

  /// Any loop but a run of one set: copies for the counted part, a jump back for the unbounded one.
  private mutating func emitLoop(
    _ body: PatternNode, _ minimum: Int, _ maximum: Int?, _ greed: PatternNode.Greed, _ follow: Follow
  ) throws(PatternError) {
    if maximum == 0 { return }
    if greed == .possessive {
      try emitNested(.init(operation: .atomic), .quantified(body, minimum: minimum, maximum: maximum, .greedy))
      return
    }
    let start = body.start
    let inner = Follow(
      set: follow.set.union(start.set), isUnknown: follow.isUnknown || start.isConditional)
    for _ in 0..<minimum { try emit(body, inner) }
    guard let maximum else {
      let loop = try appendSplit()
      let slot = Int32(program.slotCount)
      if start.isNullable {
        program.slotCount += 1
        try append(.init(operation: .mark, first: slot))
      }
      try emit(body, inner)
      let check = start.isNullable ? try append(.init(operation: .leaveIfUnmoved, first: slot)) : nil
      try append(.init(operation: .jump, first: Int32(loop)))
      if let check { program.instructions[check].second = here }
      resolve(split: loop, greed)
      return
    }
    var splits: [Int] = []
    for _ in minimum..<max(minimum, maximum) {
      splits.append(try appendSplit())
      try emit(body, inner)
    }
    for split in splits { resolve(split: split, greed) }
  }

  private mutating func appendSplit() throws(PatternError) -> Int { try append(.init(operation: .split)) }

  /// A split goes into the body behind it or out to here; a lazy one prefers the way out.
  private mutating func resolve(split: Int, _ greed: PatternNode.Greed) {
    let inside = Int32(split + 1)
    program.instructions[split].first = greed == .lazy ? here : inside
    program.instructions[split].second = greed == .lazy ? inside : here
  }

  private mutating func emitChoice(_ nodes: [PatternNode], _ follow: Follow) throws(PatternError) {
    // A mask has 64 bits: further alternatives nest.
    let alternatives = nodes.count <= 63 ? nodes : Array(nodes[..<62]) + [.alternation(Array(nodes[62...]))]
    let index = program.choices.count
    program.choices.append(.init(first: 0, count: 0, nullable: 0))
    program.asciiMasks += [UInt64](repeating: 0, count: 128)
    try append(.init(operation: .choice, first: Int32(index)))
    var compiled: [PatternProgram.Alternative] = []
    var nullable: UInt64 = 0
    var exits: [Int] = []
    for (bit, node) in alternatives.enumerated() {
      let start = node.start
      let set = start.isNullable ? ScalarSet.all : start.set
      if start.isNullable { nullable |= 1 << UInt64(bit) }
      compiled.append(.init(target: here, set: try self.index(of: set)))
      for byte in 0..<128 where set.contains(UInt32(byte)) { program.asciiMasks[index * 128 + byte] |= 1 << UInt64(bit) }
      try emit(node, follow)
      if bit + 1 < alternatives.count { exits.append(try append(.init(operation: .jump))) }
    }
    for exit in exits { program.instructions[exit].first = here }
    program.choices[index] = .init(
      first: Int32(program.alternatives.count), count: Int32(compiled.count), nullable: nullable)
    program.alternatives += compiled
  }

  private mutating func index(of set: ScalarSet) throws(PatternError) -> Int32 {
    if let known = setIndices.first(where: { $0.set == set }) { return known.index }
    guard program.sets.count < Self.maximumSets else { throw .malformed("is too large") }
    let bits = ScalarBitmap(set).basicPlane
    let count = bits.lastIndex { $0 != 0 }.map { $0 + 1 } ?? 0
    // Two words at least, so that ASCII needs no bounds check.
    let index = Int32(program.sets.count)
    program.sets.append(.init(offset: Int32(program.words.count), count: Int32(max(2, count))))
    program.words += bits[..<max(2, count)]
    program.astral.append(set.intersection(ScalarSet(0x10000...ScalarSet.maximum)))
    setIndices.append((set, index))
    return index
  }
}
