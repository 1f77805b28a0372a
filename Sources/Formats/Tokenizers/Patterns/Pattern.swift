/// A compiled expression, or a literal text, and the search for its matches.
struct Pattern: Sendable {
  /// One reference for the program's many tables, so that handing a pattern around costs little.
  private final class Compiled: Sendable {
    let program: PatternProgram
    init(_ program: PatternProgram) { self.program = program }
  }

  private let compiled: Compiled

  init(_ expression: String) throws(PatternError) {
    compiled = Compiled(try PatternCompiler.compile(try PatternParser.parse(expression)))
  }

  /// Matches the text itself. Texts are found as one expression of their scalars, so an empty one matches everywhere.
  init(literal: String) throws(PatternError) {
    compiled = Compiled(try PatternCompiler.compile(.sequence(literal.unicodeScalars.map { .set(ScalarSet($0.value)) })))
  }

  /// Cuts a text into stretches that match and stretches between them, in order and without gaps.
  ///
  /// Matches may be empty; none is empty right behind the one before. The searches of an encoding share a budget of steps
  /// that grows with the text: an expression that backtracks without end leaves the rest of the text unmatched instead of
  /// hanging (Oniguruma gives up, too, and the library fails then).
  func forEachStretch(
    of text: UnsafeBufferPointer<UInt8>, with scratch: PatternScratch,
    _ body: (_ start: Int, _ end: Int, _ isMatch: Bool) -> Void
  ) {
    guard !text.isEmpty else {
      body(0, text.count, false)
      return
    }
    PatternMatcher.withMatcher(for: compiled.program, text, scratch) { matcher in
      var previous = 0
      var from = 0
      var lastEnd: Int?
      while from <= text.count, let (start, end) = matcher.search(from: from) {
        if start == end, lastEnd == end {
          from = end < text.count ? end + text.scalar(at: end).length : end + 1
          continue
        }
        if previous < start { body(previous, start, false) }
        body(start, end, true)
        previous = end
        from = end
        lastEnd = end
      }
      if previous < text.count { body(previous, text.count, false) }
    }
  }
}
