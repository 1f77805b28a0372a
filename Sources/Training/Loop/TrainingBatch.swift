import Execution

/// Sequences that a model runs on together, and which of its predictions count.
public struct TrainingBatch: Sendable {
  /// One sequence behind the other.
  public let tokens: [Int32]
  public let sequences: SequenceLayout
  /// What should follow each token; any token where that does not count.
  public let targets: [Int32]
  /// Which predictions count, and how much.
  public let weights: [Float]

  /// - Parameter examples: tokens, and for each of them whether predicting it counts. The first of a sequence is never predicted.
  public init(_ examples: [(tokens: [Int32], isTarget: [Bool])]) {
    tokens = examples.flatMap(\.tokens)
    sequences = SequenceLayout(lengths: examples.map(\.tokens.count))
    targets = examples.flatMap { $0.tokens.dropFirst() + ($0.tokens.isEmpty ? [] : [0]) }
    weights = examples.flatMap { example in example.isTarget.dropFirst().map { $0 ? 1 : 0 } + (example.isTarget.isEmpty ? [] : [0]) }
  }

  /// The most rows of a batch that ``cut(_:rows:)`` makes of several sequences: enough for products to be fast, and few enough that the batches
  /// of a step keep several processes busy.
  public static let maximumRows = 1024

  /// Sequences, or what stands for them, in batches whose gradients are added up one after the other: neighbours together, up to
  /// ``maximumRows`` rows.
  public static func cut<Item>(_ items: [Item], rows: (Item) -> Int) -> [[Item]] {
    items.reduce(into: []) { parts, item in
      let filled = parts.last.map { $0.reduce(0) { $0 + rows($1) } } ?? 0
      if parts.isEmpty || filled + rows(item) > maximumRows { parts.append([item]) } else { parts[parts.count - 1].append(item) }
    }
  }

  /// - Parameters:
  ///   - targets: what should follow each token.
  ///   - weights: as many as tokens.
  public init(tokens: [Int32], sequences: SequenceLayout, targets: [Int32], weights: [Float]) {
    (self.tokens, self.sequences, self.targets, self.weights) = (tokens, sequences, targets, weights)
  }

  /// Predictions that count, weights added up.
  public var targetWeight: Double { weights.reduce(0) { $0 + Double($1) } }
}
