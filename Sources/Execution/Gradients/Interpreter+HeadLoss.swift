import CKernels
import Diagnostics
import Foundation
import ModelGraph
import Tensors

/// A loss over some rows, and its gradients.
public struct HeadLoss: Sendable {
  /// The sum over rows of weight times loss, in nats.
  public let loss: Double
  public let gradients: BlockGradients
}

extension Interpreter {
  /// Runs a model's head, a loss and their gradients a few rows at a time: logits of all rows never exist together.
  /// - Parameters:
  ///   - input: `[rows, width]`, what the last layer leaves.
  ///   - rowWeights: what each row's loss is multiplied by, for the loss and for the gradients; rows of weight 0 are not scored.
  ///     Pass 1/n for the mean over n rows.
  ///   - tileRows: rows at a time. Sums are added tile by tile, so this (not the number of threads) shows in the last bits.
  public func headLoss(
    _ block: Block, of graph: ModelGraph, weights: LoadedBlock, input: Matrix, target: LossTarget, rowWeights: [Float],
    wanting wanted: Set<ParameterID>, inputGradient: Bool, tileRows: Int = 256, addingTo sums: [ParameterID: Matrix] = [:]
  ) throws -> HeadLoss {
    try check(target, rows: input.rows, rowWeights: rowWeights, of: graph)
    let whole = inputGradient ? Matrix(rows: input.rows, columns: input.columns) : nil
    var (loss, sums) = (0.0, sums)
    for begin in stride(from: 0, to: input.rows, by: max(1, tileRows)) {
      let rows = begin..<min(begin + max(1, tileRows), input.rows)
      guard rowWeights[rows].contains(where: { $0 != 0 }) else { continue }
      let tape = try runRecording(
        block, of: graph, weights: weights, input: input.copy(rows: rows), sequences: SequenceLayout(lengths: [rows.count]))
      // The logits become their own gradient: no operation looks at the head's output again.
      loss += try differentiate(tape.output, target, rows: rows, rowWeights: rowWeights)
      let gradients = try backward(
        tape, outputGradient: tape.output, wanting: wanted, inputGradient: inputGradient, addingTo: sums)
      sums = gradients.parameters
      if let whole, let part = gradients.input { whole.row(begin).update(from: part.pointer, count: part.values) }
    }
    return HeadLoss(loss: loss, gradients: BlockGradients(parameters: sums, input: whole))
  }

  /// Logits to their gradients, in place; returns the weighted sum of losses, added in the order of rows.
  private func differentiate(_ logits: Matrix, _ target: LossTarget, rows: Range<Int>, rowWeights: [Float]) throws -> Double {
    let losses = Matrix(rows: logits.rows, columns: 2)
    let sink = UnsafeMutableRawPointer(losses.pointer).assumingMemoryBound(to: Double.self)
    let loss = try rowLoss(target, rows: rows)
    pool.ranges(of: rows.count) { range in
      for row in range {
        let weight = rowWeights[rows.lowerBound + row]
        if weight == 0 {
          logits.row(row).initialize(repeating: 0, count: logits.columns)
        } else {
          sink[row] = loss(row, logits.row(row), Int64(logits.columns), weight)
        }
      }
    }
    return rows.indices.reduce(0) { sum, row in sum + Double(rowWeights[row]) * sink[row - rows.lowerBound] }
  }

  /// Of one row, counted from the first of `rows`: its loss, while its logits become weight times their gradient.
  private typealias RowLoss = (_ row: Int, _ logits: UnsafeMutablePointer<Float>, _ count: Int64, _ weight: Float) -> Double

  private func rowLoss(_ target: LossTarget, rows: Range<Int>) throws -> RowLoss {
    let first = rows.lowerBound
    switch target {
    case .tokens(let tokens):
      return { row, logits, count, weight in dso_cross_entropy_gradient(logits, Int64(tokens[first + row]), count, weight) }
    case .drawn(let seed, let firstRow):
      return { row, logits, count, weight in
        let draw = SeededRandom.value(seed: seed, index: UInt64(firstRow + first + row))
        let summary = dso_summarize_logits(logits, count)
        let token = dso_sample_logits(logits, summary.log_sum_exp, count, Double(draw >> 11) * 0x1p-53)
        return dso_cross_entropy_gradient(logits, token, count, weight)
      }
    case .teacher(let teacher):
      let expected = try run(
        teacher.block, of: teacher.graph, weights: teacher.weights, input: teacher.input.copy(rows: rows),
        sequences: SequenceLayout(lengths: [rows.count]))
      let square = teacher.temperature * teacher.temperature
      return { row, logits, count, weight in
        Double(square) * dso_kl_divergence_gradient(expected.row(row), logits, count, teacher.temperature, weight * square)
      }
    case .partial(let known):
      let square = known.temperature * known.temperature
      return { row, logits, count, weight in
        let start = (first + row) * known.kept
        return known.ids.withUnsafeBufferPointer { ids in
          known.probabilities.withUnsafeBufferPointer { probabilities in
            guard let ids = ids.baseAddress, let probabilities = probabilities.baseAddress else { return 0 }
            return Double(square)
              * dso_partial_divergence_gradient(
                ids + start, probabilities + start, Int64(known.kept), logits, count, known.temperature, weight * square)
          }
        }
      }
    case .policy(let policy):
      return { row, logits, count, weight in
        let token = Int(policy.tokens[first + row]), advantage = policy.advantages[first + row]
        let logProbability = Double(logits[token]) - dso_summarize_logits(logits, count).log_sum_exp
        let ratio = Float(exp(logProbability - Double(policy.logProbabilities[first + row])))
        let clipped = min(max(ratio, 1 - policy.clip), 1 + policy.clip)
        // Beyond the clip nothing is gained by going on the same way.
        let isClipped = ratio * advantage > clipped * advantage
        _ = dso_cross_entropy_gradient(logits, Int64(token), count, isClipped ? 0 : weight * ratio * advantage)
        return -Double(min(ratio * advantage, clipped * advantage))
      }
    }
  }

  private func check(_ target: LossTarget, rows: Int, rowWeights: [Float], of graph: ModelGraph) throws {
    guard rowWeights.count == rows else {
      throw ExecutionError("loss", "has \(rowWeights.count) weights for \(rows) rows", kind: .usage)
    }
    switch target {
    case .partial(let known):
      guard known.kept > 0, known.ids.count == rows * known.kept, known.probabilities.count == known.ids.count, known.temperature > 0,
        known.ids.allSatisfy({ Int($0) < graph.vocabularySize })
      else {
        throw ExecutionError(
          "teacher", "has \(known.ids.count) probabilities for \(rows) rows of \(known.kept), or tokens beyond the vocabulary", kind: .usage
        )
      }
    case .policy(let policy):
      guard policy.tokens.count == rows, policy.advantages.count == rows, policy.logProbabilities.count == rows else {
        throw ExecutionError("policy", "has \(policy.tokens.count) tokens for \(rows) rows", kind: .usage)
      }
      try check(zip(policy.tokens, rowWeights).compactMap { $1 == 0 ? nil : $0 }, of: graph)
    case .tokens(let tokens):
      guard tokens.count == rows else { throw ExecutionError("loss", "has \(tokens.count) tokens for \(rows) rows", kind: .usage) }
      try check(zip(tokens, rowWeights).compactMap { $1 == 0 ? nil : $0 }, of: graph)
    case .drawn: break
    case .teacher(let teacher):
      guard teacher.input.rows == rows, teacher.temperature > 0, teacher.graph.vocabularySize == graph.vocabularySize else {
        throw ExecutionError(
          "teacher",
          "has \(teacher.input.rows) rows for \(rows), a vocabulary of \(teacher.graph.vocabularySize) for "
            + "\(graph.vocabularySize), or a temperature that is not above 0", kind: .usage)
      }
    }
  }
}
