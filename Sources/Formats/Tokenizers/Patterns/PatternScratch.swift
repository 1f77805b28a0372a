/// The matcher's working memory, kept between searches. Belongs to one encoding at a time.
final class PatternScratch {
  /// A way back: where to go on, and what may still be tried there.
  struct Frame {
    enum Kind: UInt8 { case resume, choice, giveBack, takeMore, restoreSlot }
    var kind: Kind
    /// The instruction to go on at; a slot's number for `restoreSlot`.
    var instruction: Int32
    var position: Int
    /// `giveBack`: the position that is not gone behind. `takeMore`: how many scalars may still be taken.
    var limit = 0
    /// The alternatives still to try.
    var mask: UInt64 = 0
  }

  private(set) var frames: UnsafeMutablePointer<Frame>
  private(set) var capacity = 256
  var slots: [Int] = []
  /// How many steps searches may still take; none left means that nothing matches any more.
  var budget = PatternScratch.budget(for: 0)

  /// Enough for any honest expression: a thousand steps a byte, and some to start with.
  static func budget(for count: Int) -> Int { 50_000_000 + min(count, 1 << 40) * 1000 }

  /// Starts a new text.
  func refill(for count: Int) { budget = Self.budget(for: count) }

  static let maximumFrames = 1 << 20

  init() { frames = .allocate(capacity: capacity) }

  deinit { frames.deallocate() }

  /// Makes room for one more frame; false when the stack has reached its limit.
  func grow() -> Bool {
    guard capacity < Self.maximumFrames else { return false }
    let larger = UnsafeMutablePointer<Frame>.allocate(capacity: capacity * 2)
    larger.moveInitialize(from: frames, count: capacity)
    frames.deallocate()
    frames = larger
    capacity *= 2
    return true
  }
}
