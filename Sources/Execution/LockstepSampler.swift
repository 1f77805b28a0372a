import CKernels
import Diagnostics
import ModelGraph
import Tensors

/// Continues many prompts of one length at once, token by token, each drawn from the model's own distribution: all sequences go through every
/// layer together. What is drawn depends on the seed and a sequence's place, not on the number of threads.
public struct LockstepSampler: Sendable {
  private let interpreter: Interpreter

  public init(interpreter: Interpreter) { self.interpreter = interpreter }

  /// - Parameters:
  ///   - prompts: of one length, at least one token.
  ///   - count: tokens to draw for each.
  ///   - seed: where draws derive from.
  /// - Returns: the prompts with what was drawn behind them.
  public func continuations(of prompts: [[Int32]], by model: LoadedModel, tokens count: Int, seed: UInt64) throws -> [[Int32]] {
    guard let length = prompts.first?.count, length > 0, prompts.allSatisfy({ $0.count == length }) else {
      throw ExecutionError("prompts", "have no tokens, or are not equally long", kind: .usage)
    }
    guard length + count <= model.graph.maximumPositions else {
      throw ExecutionError(
        "sequences", "of \(length + count) tokens are longer than the model's \(model.graph.maximumPositions) positions", kind: .usage)
    }
    let cache = KeyValueCache(sequences: prompts.count, capacity: length + count)
    let graph = model.graph.absorbingLatentAttention()
    var sequences = prompts
    var fresh = prompts.flatMap { $0 }
    for step in 0..<count {
      try Interruption.check()
      let rows = fresh.count / prompts.count
      let logits = try logits(behind: fresh, rows: rows, of: graph, model.blocks, cache)
      cache.length += rows
      fresh = draw(logits, step: step, seed: seed)
      for index in sequences.indices { sequences[index].append(fresh[index]) }
    }
    return sequences
  }

  /// What follows the last token of each sequence, a row each.
  private func logits(
    behind tokens: [Int32], rows: Int, of graph: ModelGraph, _ blocks: [LoadedBlock], _ cache: KeyValueCache
  ) throws -> Matrix {
    let count = cache.sequences
    let layout = SequenceLayout(
      lengths: Array(repeating: rows, count: count), positions: Array(repeating: cache.length, count: count))
    var state = Matrix(rows: 0, columns: 0)
    for (index, block) in graph.blocks.enumerated() {
      let weights = blocks[index]
      if index == 0 {
        state = try interpreter.run(block, of: graph, weights: weights, tokens: tokens, sequences: layout)
      } else if index == graph.blocks.count - 1 {
        let last = Matrix(rows: count, columns: state.columns)
        for sequence in 0..<count { last.row(sequence).update(from: state.row((sequence + 1) * rows - 1), count: state.columns) }
        state = try interpreter.run(
          block, of: graph, weights: weights, input: last, sequences: SequenceLayout(lengths: Array(repeating: 1, count: count)))
      } else {
        state = try interpreter.run(block, of: graph, weights: weights, input: state, sequences: layout, cache: cache)
      }
    }
    return state
  }

  private func draw(_ logits: Matrix, step: Int, seed: UInt64) -> [Int32] {
    (0..<logits.rows).map { row in
      let (values, count) = (logits.row(row), Int64(logits.columns))
      let number = SeededRandom.value(seed: seed, index: UInt64(step) << 32 | UInt64(row))
      let summary = dso_summarize_logits(values, count)
      return Int32(dso_sample_logits(values, summary.log_sum_exp, count, Double(number >> 11) * 0x1p-53))
    }
  }
}
