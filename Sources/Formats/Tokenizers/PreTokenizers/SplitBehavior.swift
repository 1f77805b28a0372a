import StructuredData

/// What becomes of the stretches that a splitting pattern matches.
enum SplitBehavior: String, Sendable {
  case removed = "Removed"
  case isolated = "Isolated"
  case mergedWithPrevious = "MergedWithPrevious"
  case mergedWithNext = "MergedWithNext"
  case contiguous = "Contiguous"

  /// Takes stretches in order and passes the resulting ones on; `finish` passes on what is held back.
  struct Merger {
    let behavior: SplitBehavior
    private var held: (start: Int, end: Int)?
    private var wasMatch = false

    init(_ behavior: SplitBehavior) { self.behavior = behavior }

    @inline(__always)
    mutating func add(_ start: Int, _ end: Int, isMatch: Bool, _ emit: (Int, Int) -> Void) {
      switch behavior {
      case .isolated: emit(start, end)
      case .removed: if !isMatch { emit(start, end) }
      case .contiguous: extend(start, end, joins: isMatch == wasMatch, emit)
      case .mergedWithPrevious: extend(start, end, joins: isMatch && !wasMatch, emit)
      // Seen from the right: a match joins the stretch behind it unless that is a match too.
      case .mergedWithNext: extend(start, end, joins: wasMatch && !isMatch, emit)
      }
      wasMatch = isMatch
    }

    private mutating func extend(_ start: Int, _ end: Int, joins: Bool, _ emit: (Int, Int) -> Void) {
      if joins, let last = held {
        held = (last.start, end)
      } else {
        finish(emit)
        held = (start, end)
      }
    }

    mutating func finish(_ emit: (Int, Int) -> Void) {
      if let last = held { emit(last.start, last.end) }
      held = nil
    }
  }
}

extension TokenizerComponent {
  func splitBehavior(default fallback: SplitBehavior? = nil) throws(TokenizerError) -> SplitBehavior {
    if let fallback, value["behavior"] == nil { return fallback }
    let name = try string("behavior")
    guard let behavior = SplitBehavior(rawValue: name) else { throw malformed("unknown behavior \"\(name)\"") }
    return behavior
  }
}
