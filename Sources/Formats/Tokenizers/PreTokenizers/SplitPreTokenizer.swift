/// `Split`: cuts where a pattern matches, or (inverted) where it does not.
struct SplitPreTokenizer: PreTokenizer {
  private let pattern: Pattern
  private let behavior: SplitBehavior
  private let isInverted: Bool

  init(_ component: TokenizerComponent) throws(TokenizerError) {
    pattern = try component.pattern("pattern")
    behavior = try component.splitBehavior()
    isInverted = try component.bool("invert")
  }

  init(pattern: Pattern) {
    self.pattern = pattern
    behavior = .isolated
    isInverted = false
  }

  func split(_ piece: TextPiece, with scratch: PatternScratch, emit: (TextPiece) -> Void) {
    var merger = SplitBehavior.Merger(behavior)
    func pass(_ start: Int, _ end: Int) { emit(piece.part(start, end)) }
    pattern.forEachStretch(of: piece.bytes, with: scratch) { start, end, isMatch in
      merger.add(start, end, isMatch: isMatch != isInverted, pass)
    }
    merger.finish(pass)
  }
}
