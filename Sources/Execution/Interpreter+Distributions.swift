import CKernels
import Diagnostics
import Foundation
import ModelGraph

extension Interpreter {
  /// A model's distributions behind every token: of each the likeliest tokens with their probabilities.
  /// - Parameters:
  ///   - kept: tokens of each; the vocabulary when that is less.
  ///   - temperature: what logits are divided by.
  public func distributions(
    of model: LoadedModel, tokens: [Int32], sequences: SequenceLayout, keeping kept: Int, temperature: Float
  ) throws -> LossTarget.PartialDistributions {
    let graph = model.graph, head = graph.blocks.count - 1
    let kept = min(kept, graph.vocabularySize)
    let state = try hidden(of: model, tokens: tokens, sequences: sequences)
    var result = LossTarget.PartialDistributions(
      kept: kept, ids: Array(repeating: 0, count: state.rows * kept), probabilities: Array(repeating: 0, count: state.rows * kept),
      temperature: temperature)
    for begin in stride(from: 0, to: state.rows, by: 256) {
      try Interruption.check()
      let rows = begin..<min(begin + 256, state.rows)
      let logits = try run(
        graph.blocks[head], of: graph, weights: model.blocks[head], input: state.copy(rows: rows),
        sequences: SequenceLayout(lengths: [rows.count]))
      result.ids.withUnsafeMutableBufferPointer { ids in
        result.probabilities.withUnsafeMutableBufferPointer { probabilities in
          guard let ids = ids.baseAddress, let probabilities = probabilities.baseAddress else { return }
          nonisolated(unsafe) let (places, shares) = (ids + begin * kept, probabilities + begin * kept)
          pool.ranges(of: rows.count) { range in
            for row in range {
              let (values, count) = (logits.row(row), Int64(logits.columns))
              if temperature != 1 { for index in 0..<logits.columns { values[index] /= temperature } }
              let sum = dso_summarize_logits(values, count).log_sum_exp
              dso_largest_indices(values, count, Int64(kept), places + row * kept)
              for index in row * kept..<(row + 1) * kept { shares[index] = Float(exp(Double(values[Int(places[index])]) - sum)) }
            }
          }
        }
      }
    }
    return result
  }

  /// What some blocks leave, by their places in the graph.
  public func states(
    of model: LoadedModel, tokens: [Int32], sequences: SequenceLayout, at places: Set<Int>
  ) throws -> [Int: Matrix] {
    var (state, found): (Matrix?, [Int: Matrix]) = (nil, [:])
    guard let last = places.max() else { return [:] }
    for (index, block) in model.graph.body.prefix(last + 1).enumerated() {
      try Interruption.check()
      let weights = model.blocks[index]
      if let before = state {
        state = try run(block, of: model.graph, weights: weights, input: before, sequences: sequences)
      } else {
        state = try run(block, of: model.graph, weights: weights, tokens: tokens, sequences: sequences)
      }
      if places.contains(index) { found[index] = state }
    }
    return found
  }
}
