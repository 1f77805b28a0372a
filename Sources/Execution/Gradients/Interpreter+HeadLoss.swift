import CKernels
import Diagnostics
import ModelGraph
import Tensors

/// What a model's predictions are compared with, row by row.
public enum LossTarget: Sendable {
  /// Cross-entropy with the token that should follow each row.
  case tokens([Int32])
  /// Cross-entropy with a token drawn from the model's own prediction: its gradients are those that the Fisher information is made of.
  /// The draw depends on the seed and on the row's number, counted from `firstRow`.
  case drawn(seed: UInt64, firstRow: Int)
  /// KL(teacher ‖ student) of the distributions at a temperature, times its square (Hinton et al. 2015): gradients keep their size.
  case teacher(Teacher)

  /// A model whose logits are the target: its head, and what goes into that for the same rows.
  public struct Teacher: Sendable {
    public var block: Block
    public var graph: ModelGraph
    public var weights: LoadedBlock
    /// `[rows, width]`, what the teacher's last layer leaves.
    public var input: Matrix
    /// Above 0.
    public var temperature: Float

    public init(block: Block, graph: ModelGraph, weights: LoadedBlock, input: Matrix, temperature: Float = 1) {
      self.block = block
      self.graph = graph
      self.weights = weights
      self.input = input
      self.temperature = temperature
    }
  }
}

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
    let count = Int64(logits.columns)
    let losses = Matrix(rows: logits.rows, columns: 2)
    let sink = UnsafeMutableRawPointer(losses.pointer).assumingMemoryBound(to: Double.self)
    switch target {
    case .tokens(let tokens):
      pool.ranges(of: rows.count) { range in
        for row in range {
          let weight = rowWeights[rows.lowerBound + row]
          if weight == 0 { logits.row(row).initialize(repeating: 0, count: logits.columns); continue }
          sink[row] = dso_cross_entropy_gradient(logits.row(row), Int64(tokens[rows.lowerBound + row]), count, weight)
        }
      }
    case .drawn(let seed, let firstRow):
      pool.ranges(of: rows.count) { range in
        for row in range {
          let weight = rowWeights[rows.lowerBound + row]
          if weight == 0 { logits.row(row).initialize(repeating: 0, count: logits.columns); continue }
          let draw = SeededRandom.value(seed: seed, index: UInt64(firstRow + rows.lowerBound + row))
          let summary = dso_summarize_logits(logits.row(row), count)
          let token = dso_sample_logits(logits.row(row), summary.log_sum_exp, count, Double(draw >> 11) * 0x1p-53)
          sink[row] = dso_cross_entropy_gradient(logits.row(row), token, count, weight)
        }
      }
    case .teacher(let teacher):
      let expected = try run(
        teacher.block, of: teacher.graph, weights: teacher.weights, input: teacher.input.copy(rows: rows),
        sequences: SequenceLayout(lengths: [rows.count]))
      let square = teacher.temperature * teacher.temperature
      pool.ranges(of: rows.count) { range in
        for row in range {
          let weight = rowWeights[rows.lowerBound + row]
          if weight == 0 { logits.row(row).initialize(repeating: 0, count: logits.columns); continue }
          sink[row] =
            Double(square)
            * dso_kl_divergence_gradient(
              expected.row(row), logits.row(row), count, teacher.temperature, weight * square)
        }
      }
    }
    return rows.indices.reduce(0) { sum, row in sum + Double(rowWeights[row]) * sink[row - rows.lowerBound] }
  }

  private func check(_ target: LossTarget, rows: Int, rowWeights: [Float], of graph: ModelGraph) throws {
    guard rowWeights.count == rows else {
      throw ExecutionError("loss", "has \(rowWeights.count) weights for \(rows) rows", kind: .usage)
    }
    switch target {
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
