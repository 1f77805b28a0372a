import CKernels
import Diagnostics
import ModelGraph

/// What a model and its teacher think of tokens that followed.
public struct PolicyScores: Sendable {
  /// Of every row's token, by the model that drew it and by the teacher, in nats.
  public var student: [Float]
  public var teacher: [Float]
  /// KL(student ‖ teacher) of every row: what `student − teacher` comes to on the average over draws.
  public var divergence: [Float]
}

extension Interpreter {
  /// Scores tokens by two models, their heads run a few rows at a time.
  /// - Parameter tokens: what follows each row.
  public func policyScores(
    of student: LoadedModel, against teacher: LoadedModel, rows tokens: [Int32], sequences: SequenceLayout, followedBy next: [Int32]
  ) throws -> PolicyScores {
    let own = try hidden(of: student, tokens: tokens, sequences: sequences)
    let others = try hidden(of: teacher, tokens: tokens, sequences: sequences)
    var scores = PolicyScores(student: [], teacher: [], divergence: [])
    for begin in stride(from: 0, to: own.rows, by: 256) {
      try Interruption.check()
      let rows = begin..<min(begin + 256, own.rows)
      let (mine, theirs) = (try logits(of: student, own.copy(rows: rows)), try logits(of: teacher, others.copy(rows: rows)))
      let results = Matrix(rows: rows.count, columns: 3)
      pool.ranges(of: rows.count) { range in
        for row in range {
          let (p, q, count) = (mine.row(row), theirs.row(row), Int64(mine.columns))
          let (own, other) = (dso_summarize_logits(p, count).log_sum_exp, dso_summarize_logits(q, count).log_sum_exp)
          let token = Int(next[begin + row])
          results.row(row)[0] = Float(Double(p[token]) - own)
          results.row(row)[1] = Float(Double(q[token]) - other)
          results.row(row)[2] = Float(dso_kl_divergence(p, own, q, other, count))
        }
      }
      for row in 0..<rows.count {
        scores.student.append(results.row(row)[0])
        scores.teacher.append(results.row(row)[1])
        scores.divergence.append(results.row(row)[2])
      }
    }
    return scores
  }

  private func logits(of model: LoadedModel, _ state: Matrix) throws -> Matrix {
    let last = model.graph.blocks.count - 1
    return try run(
      model.graph.blocks[last], of: model.graph, weights: model.blocks[last], input: state,
      sequences: SequenceLayout(lengths: [state.rows]))
  }
}
