/// How the rows of a batch fall into sequences: each is contiguous, and attends only to itself and to its cached past.
public struct SequenceLayout: Sendable, Hashable {
  /// Rows of each sequence.
  public let lengths: [Int]
  /// The position of each sequence's first row: the number of its tokens already in the cache.
  public let positions: [Int]

  public init(lengths: [Int], positions: [Int]? = nil) {
    self.lengths = lengths
    self.positions = positions ?? Array(repeating: 0, count: lengths.count)
  }

  public var rows: Int { lengths.reduce(0, +) }

  /// First row, length and first position of each sequence.
  var sequences: [(row: Int, length: Int, position: Int)] {
    var row = 0
    return zip(lengths, positions).map { length, position in
      defer { row += length }
      return (row, length, position)
    }
  }
}
