import Diagnostics

/// Whole examples side by side in one row of a batch, each a sequence of its own.
public struct TrainingRow: Sendable, Hashable {
  /// The examples' numbers in the list they were packed from.
  public let examples: [Int]
  public let tokens: [Int32]
  public let isTarget: [Bool]
  /// Tokens of each example, in the order of `examples`: what a `SequenceLayout` wants.
  public let lengths: [Int]
}

/// Puts several examples into one row, so that short ones waste no room.
///
/// Examples are never cut nor joined: each keeps its own length, positions and attention.
public struct TrainingPacker: Sendable, Hashable {
  public enum Strategy: Sendable, Hashable {
    /// Each row takes the next examples as long as they fit.
    case inOrder
    /// Of so many examples at a time the longest first, each into the first row with room (Johnson 1973); rows come in the order of their
    /// earliest example, so that a curriculum stays one.
    case firstFitDecreasing(buffer: Int)
  }

  /// Tokens of a row at most.
  public let length: Int
  public let strategy: Strategy

  public init(length: Int, strategy: Strategy = .firstFitDecreasing(buffer: 1024)) throws(TrainingError) {
    guard length >= 2 else {
      throw TrainingError("row", "of \(length) tokens holds no example", remedy: "use at least 2", kind: .usage)
    }
    if case .firstFitDecreasing(let buffer) = strategy, buffer < 1 {
      throw TrainingError("packing", "a buffer of \(buffer) examples holds none", remedy: "use at least 1", kind: .usage)
    }
    self.length = length
    self.strategy = strategy
  }

  /// Which examples go into each row.
  ///
  /// - Parameters:
  ///   - lengths: tokens of every example; throws when one is longer than a row.
  ///   - order: the examples' numbers in the order of training; numbers that name no example are an error.
  public func rows(lengths: [Int], order: [Int]) throws(TrainingError) -> [[Int]] {
    for example in order {
      guard lengths.indices.contains(example) else {
        throw TrainingError("order", "names example \(example) of \(lengths.count)", kind: .usage)
      }
      guard lengths[example] <= length else {
        throw TrainingError(
          "example \(example)", "has \(lengths[example]) tokens, more than a row of \(length)", remedy: "cut examples to the row's length",
          kind: .usage)
      }
    }
    switch strategy {
    case .inOrder:
      var rows: [[Int]] = []
      var room = 0
      for example in order {
        if rows.isEmpty || lengths[example] > room {
          rows.append([])
          room = length
        }
        rows[rows.count - 1].append(example)
        room -= lengths[example]
      }
      return rows
    case .firstFitDecreasing(let buffer):
      var rows: [[Int]] = []
      for start in stride(from: 0, to: order.count, by: buffer) {
        rows += firstFit(order[start..<start + min(buffer, order.count - start)], lengths)
      }
      return rows
    }
  }

  private func firstFit(_ examples: ArraySlice<Int>, _ lengths: [Int]) -> [[Int]] {
    // Equal ones stay in order, on every platform.
    let places = examples.indices.sorted {
      let (a, b) = (lengths[examples[$0]], lengths[examples[$1]])
      return a != b ? a > b : $0 < $1
    }
    var rows: [(places: [Int], room: Int)] = []
    for place in places {
      let size = lengths[examples[place]]
      if let fitting = rows.firstIndex(where: { $0.room >= size }) {
        rows[fitting].places.append(place)
        rows[fitting].room -= size
      } else {
        rows.append(([place], length - size))
      }
    }
    return rows.map { $0.places.sorted() }.sorted { $0[0] < $1[0] }.map { $0.map { examples[$0] } }
  }

  /// The rows themselves, in an order of the examples.
  public func pack(_ examples: [TrainingExample], order: [Int]) throws(TrainingError) -> [TrainingRow] {
    try rows(lengths: examples.map(\.tokens.count), order: order).map { numbers in
      TrainingRow(
        examples: numbers, tokens: numbers.flatMap { examples[$0].tokens }, isTarget: numbers.flatMap { examples[$0].isTarget },
        lengths: numbers.map { examples[$0].tokens.count })
    }
  }
}
