import Compression
import Execution
import Foundation
import ModelGraph
import Tensors
import Training

/// Stage 3: the teacher's distributions again, a quarter of the windows being of those that the student finds hardest, and half of the others with typing errors; and
/// the same distributions once more with the student's embeddings moved to where it predicts them worst.
final class RobustnessPhase: DistillationPhase {
  private let material: DistillationMaterial
  let steps: Int
  /// The hardest windows, the worst first.
  private var hardest: [Int] = []

  let name = "robustness"
  let progressName = "Learning under perturbations"
  let measure = DistillationMeter.Measure.robustness
  let rate: Float = 0.3

  /// Windows that are looked through for hard ones, and the share of them that counts as hard.
  private static let searched = 1024
  private static let hardShare = 0.25

  init(material: DistillationMaterial, steps: Int) { (self.material, self.steps) = (material, steps) }

  func begin(_ student: () throws -> LoadedModel) throws {
    let student = try student()
    let interpreter = material.interpreter
    material.note(Array(searched))
    let losses = try interpreter.group.figures(searched.count) { index in
      let batch = DistillationMaterial.batch([material.windows[index]])
      return try interpreter.gradients(
        of: student, tokens: batch.tokens, sequences: batch.sequences, objective: TrainingObjective(try material.target([index])),
        rowWeights: batch.weights, wanting: []
      ).loss
    }
    let order = searched.sorted { (losses[$0], $1) > (losses[$1], $0) }
    hardest = Array(order.prefix(max(1, Int(Double(searched.count) * Self.hardShare))))
  }

  private var searched: Range<Int> { 0..<min(Self.searched, material.windows.count) }

  func windowsAsked(before step: Int) -> [Int] { Array(searched) }

  func step(_ trainer: Trainer) throws -> TrainingStep {
    let windows = try windows(of: trainer.steps)
    let batch = DistillationMaterial.batch(windows)
    let target = try material.target(of: windows)
    let attack = EmbeddingAttack(epsilon: material.options.epsilon, fixed: material.specialTokens)
    let offset = try attack.offset(
      for: trainer.model, tokens: batch.tokens, sequences: batch.sequences, target: target, rowWeights: batch.weights,
      interpreter: trainer.interpreter, seed: SeededRandom.value(seed: material.seed ^ 0xADF5, index: UInt64(trainer.steps)))
    let moved = TrainingBatch(
      tokens: batch.tokens, sequences: batch.sequences, targets: batch.targets,
      weights: batch.weights.map { $0 * material.options.perturbationWeight })
    return try trainer.step([batch, moved]) { index, _, _ in
      TrainingObjective(target, embeddingOffset: index == 0 ? nil : offset)
    }
  }

  private func windows(of step: Int) throws -> [[Int32]] {
    let count = material.options.batchWindows
    var random = SeededRandom(seed: SeededRandom.value(seed: material.seed ^ 0x4A4D, index: UInt64(step)))
    let plain = try material.indices(step: step, phase: 5, count: count)
    return plain.enumerated().map { place, index in
      let chosen = place % 4 != 2 ? index : hardest[Int(random.nextUnit() * Double(hardest.count))]
      guard place % 2 == 1 else { return material.windows[chosen] }
      return material.misspelt(chosen, draw: random.next()) ?? material.windows[chosen]
    }
  }
}
