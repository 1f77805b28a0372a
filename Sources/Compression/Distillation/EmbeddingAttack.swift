import CKernels
import Diagnostics
import Execution
import Foundation
import ModelGraph
import Tensors

/// Moves embeddings to where predictions suffer most: a random start, then normalised steps up the loss, each token kept within a ball (the shape
/// of virtual adversarial training, Miyato et al. 2018, and SMART, Jiang et al. 2020).
package struct EmbeddingAttack {
  /// The radius, as a share of the root mean square of the lengths of the batch's embeddings.
  package var epsilon: Float
  /// Steps up.
  package var steps: Int
  /// Tokens that stay where they are.
  package var fixed: Set<Int32>

  /// The size of the random start.
  private static let noise: Float = 1e-3

  package init(epsilon: Float, steps: Int = 1, fixed: Set<Int32> = []) { (self.epsilon, self.steps, self.fixed) = (epsilon, steps, fixed) }

  /// - Parameter target: what predictions are held against.
  /// - Returns: what is added to what the model's first block leaves.
  package func offset(
    for model: LoadedModel, tokens: [Int32], sequences: SequenceLayout, target: LossTarget, rowWeights: [Float],
    interpreter: Interpreter, seed: UInt64
  ) throws -> Matrix {
    let graph = model.graph
    let embedded = try interpreter.run(graph.blocks[0], of: graph, weights: model.blocks[0], tokens: tokens, sequences: sequences)
    let (rows, width) = (embedded.rows, embedded.columns)
    let square = dso_sum_squares(embedded.pointer, Int64(rows * width)) / Double(max(1, rows))
    let radius = epsilon * Float(square.squareRoot())
    let offset = Matrix(rows: rows, columns: width)
    guard radius > 0 else { return offset }
    var random = SeededRandom(seed: seed)
    let deviation = Self.noise * Float(square.squareRoot()) / Float(width).squareRoot()
    for row in 0..<rows where !fixed.contains(tokens[row]) {
      for column in 0..<width { offset.row(row)[column] = deviation * random.nextGaussian() }
    }
    var objective = TrainingObjective(target)
    objective.wantsEmbeddingGradient = true
    for _ in 0..<steps {
      objective.embeddingOffset = offset
      let found = try interpreter.gradients(
        of: model, tokens: tokens, sequences: sequences, objective: objective, rowWeights: rowWeights, wanting: [])
      guard let gradient = found.embedding else { break }
      for row in 0..<rows where !fixed.contains(tokens[row]) {
        let (place, slope) = (offset.row(row), gradient.row(row))
        let length = Float(dso_sum_squares(slope, Int64(width)).squareRoot())
        guard length > 0, length.isFinite else { continue }
        for column in 0..<width { place[column] += radius / length * slope[column] }
        let reach = Float(dso_sum_squares(place, Int64(width)).squareRoot())
        guard reach > radius else { continue }
        for column in 0..<width { place[column] *= radius / reach }
      }
    }
    return offset
  }
}

extension SeededRandom {
  /// A normally distributed number (Box and Muller).
  fileprivate mutating func nextGaussian() -> Float {
    let radius = (-2 * log(max(nextUnit(), 1e-300))).squareRoot()
    return Float(radius * cos(2 * .pi * nextUnit()))
  }
}
