import CKernels
import Diagnostics
import Execution
import ModelGraph

/// What becomes of an encoder's states of a text: one vector.
public struct Pooling: Sendable, Hashable {
  public enum Mode: String, Sendable, Hashable {
    /// The state of the first token.
    case first
    /// The mean over all tokens, those that the tokenizer adds included.
    case mean
    /// The largest of every feature.
    case largest
  }

  public var mode: Mode
  /// Whether vectors are brought to length 1.
  public var normalizes: Bool

  public init(mode: Mode = .mean, normalizes: Bool = false) { (self.mode, self.normalizes) = (mode, normalizes) }
}

/// Texts to compare embeddings on.
public struct EmbeddingText: Sendable {
  /// What the report calls it: the file's name.
  public let name: String
  /// The token ids of every sentence, special tokens included.
  public let sentences: [[Int32]]
  public let pooling: Pooling

  /// - Throws: no sentences, or one without tokens.
  public init(name: String, sentences: [[Int32]], pooling: Pooling) throws(EvaluationError) {
    guard !sentences.isEmpty, sentences.allSatisfy({ !$0.isEmpty }) else {
      throw EvaluationError(name, "has no sentences", remedy: "give a text with a sentence a line", kind: .badData)
    }
    (self.name, self.sentences, self.pooling) = (name, sentences, pooling)
  }
}

extension ForwardStream {
  /// The embedding of every sentence, a row each, from an encoder that is run block by block.
  public func embeddings(
    of graph: ModelGraph, _ text: EmbeddingText, progress: (_ blocksDone: Int) throws -> Void = { _ in }
  ) throws -> Matrix {
    let states = try hidden(of: graph, windows: text.sentences, progress: progress)
    let width = states.first?.matrix.columns ?? 0
    let result = Matrix(rows: text.sentences.count, columns: width)
    for state in states {
      var row = 0
      for window in state.windows {
        let count = text.sentences[window].count
        pool(state.matrix, row..<row + count, text.pooling, into: result.row(window))
        row += count
      }
    }
    guard (0..<result.rows * width).allSatisfy({ result.pointer[$0].isFinite }) else {
      throw EvaluationError(
        "the model", "gives embeddings that are not finite", remedy: "its weights hold NaN, infinities or values far out of range",
        kind: .badData)
    }
    return result
  }

  private func pool(_ states: Matrix, _ rows: Range<Int>, _ pooling: Pooling, into target: UnsafeMutablePointer<Float>) {
    let width = states.columns
    let ones = [Float](repeating: 1, count: width)
    switch pooling.mode {
    case .first: target.update(from: states.row(rows.lowerBound), count: width)
    case .mean:
      dso_sum_rows(states.row(rows.lowerBound), Int64(width), Int64(rows.count), Int64(width), target)
      dso_scale_elements(target, ones, 1 / Float(rows.count), Int64(width))
    case .largest:
      target.update(from: states.row(rows.lowerBound), count: width)
      for row in rows.dropFirst() {
        let state = states.row(row)
        for column in 0..<width { target[column] = max(target[column], state[column]) }
      }
    }
    guard pooling.normalizes else { return }
    let length = dso_sum_squares(target, Int64(width)).squareRoot()
    if length > 0 { dso_scale_elements(target, ones, Float(1 / length), Int64(width)) }
  }
}
