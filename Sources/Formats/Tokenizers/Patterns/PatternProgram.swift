/// A compiled expression: instructions for `PatternMatcher` and the tables they refer to.
struct PatternProgram: Sendable {
  var instructions: [Instruction] = []
  var choices: [Choice] = []
  var alternatives: [Alternative] = []
  /// Per choice 128 masks, one for each ASCII byte that may come next: which alternatives can match there.
  var asciiMasks: [UInt64] = []
  var sets: [SetTable] = []
  /// The bits of all sets' basic planes, one set after the other.
  var words: [UInt64] = []
  var astral: [ScalarSet] = []
  /// How many positions the loops over possibly empty bodies remember.
  var slotCount = 0

  struct Instruction: Sendable {
    var operation: Operation
    var greed = PatternNode.Greed.greedy
    var isNegated = false
    var first: Int32 = 0
    var second: Int32 = 0
    var third: Int32 = 0
  }

  enum Operation: UInt8, Sendable {
    /// The text matches.
    case accept
    /// One ASCII byte, `first`.
    case byte
    /// One scalar, `first`.
    case scalar
    /// One scalar of set `first`.
    case set
    /// Scalars of set `first`, `second` to `third` of them (-1: no bound).
    case repeatSet
    /// Looks at the next scalar: is it (not) of set `first`?
    case peekSet
    /// The alternatives of choice `first`, in order.
    case choice
    /// Goes on at `first`, and at `second` when that fails.
    case split
    case jump
    /// Remembers the position in slot `first`.
    case mark
    /// Leaves a loop, to `second`, when its body took nothing since slot `first` was marked.
    case leaveIfUnmoved
    /// The program up to `first` must (not) match here; nothing is taken.
    case lookahead
    /// The same, `second` scalars back.
    case lookbehind
    /// The program up to `first` matches once and is not tried again.
    case atomic
    case assertion
  }

  struct Choice: Sendable {
    /// Its first alternative in `alternatives`, and how many it has (64 at most, the bits of a mask).
    var first: Int32
    var count: Int32
    /// The alternatives that may match without taking a scalar.
    var nullable: UInt64
  }

  struct Alternative: Sendable {
    /// The instruction it starts at.
    var target: Int32
    /// The set it begins with, for scalars beyond ASCII.
    var set: Int32
  }

  struct SetTable: Sendable {
    /// The first of `words`, and how many.
    var offset: Int32
    var count: Int32
  }
}
