import Compression
import Diagnostics
import Execution
import ModelGraph
import Training

extension DistillationMaterial {
  /// Hidden states of a student beside the teacher's: where widths differ with projectors, which begin as the least squares solution on some of the
  /// windows that are learned from.
  func alignment(of student: ModelGraph) throws -> FeatureAlignment {
    func width(_ graph: ModelGraph, _ block: Int) -> Int { graph[graph.boundary(of: graph.blocks[block]).output].width ?? 0 }
    let unequal = mapping.pairs.filter { width(student, $0.student) != width(teacher.graph, $0.teacher) }
    var projectors: [Int: Matrix] = [:]
    if !unequal.isEmpty {
      let batch = Self.batch(Array(windows.prefix(Self.projectedWindows)))
      let own = try interpreter.states(
        of: LoadedModel(student), tokens: batch.tokens, sequences: batch.sequences, at: Set(unequal.map(\.student)))
      let others = try teacherStates(batch)
      for pair in unequal {
        guard let first = own[pair.student], let second = others[pair.teacher],
          let projector = FeatureProjection.leastSquares(
            from: withoutFirstTokens(first), to: withoutFirstTokens(second), pool: interpreter.pool)
        else {
          throw CompressionError(
            "features", "of the student leave no projection onto the teacher's", remedy: "leave the first stage out", kind: .badData)
        }
        projectors[pair.student] = projector
      }
    }
    return FeatureAlignment(mapping, projectors: projectors, pool: interpreter.pool)
  }

  private static let projectedWindows = 16

  /// The states of whole windows but for the first token of each, where attention sinks.
  func withoutFirstTokens(_ states: Matrix) -> Matrix {
    let length = options.sequenceLength, windows = states.rows / length
    let result = Matrix(rows: windows * (length - 1), columns: states.columns)
    for window in 0..<windows {
      result.row(window * (length - 1)).update(from: states.row(window * length + 1), count: (length - 1) * states.columns)
    }
    return result
  }

  /// What the mapped layers of the teacher leave.
  func teacherStates(_ batch: TrainingBatch) throws -> [Int: Matrix] {
    try interpreter.states(of: teacher, tokens: batch.tokens, sequences: batch.sequences, at: Set(mapping.pairs.map(\.teacher)))
  }
}
