import Compression
import Diagnostics
import Execution
import ModelGraph
import Tensors
import Training

/// Stage 2, second half: text that the student writes itself, each token rewarded by how much likelier the teacher finds it than the student does.
/// What is to be expected of that, −KL(student ‖ teacher) at the place, is taken off as the baseline; the teacher's distributions on given text are
/// learned beside it, lest the student's narrow, and are most of the loss.
final class PolicyPhase: DistillationPhase {
  private let material: DistillationMaterial
  let steps: Int
  /// What the student wrote, for the steps that learn from it.
  private var rollout: Rollout?

  let name = "policy"
  let progressName = "Learning from its own text"
  let measure = DistillationMeter.Measure.ownText
  let rate: Float = 0.3

  /// Steps that learn from one set of texts.
  private static let reuse = 2
  private static let promptLength = 32
  /// The share of the loss that is of the student's own text.
  private static let share: Float = 0.1
  /// Tokens that are given, and tokens that the student writes.
  static func lengths(windows: Int) -> (prompt: Int, continuation: Int) {
    let prompt = min(promptLength, windows / 2)
    return (prompt, min(96, windows - prompt))
  }

  /// Rewards beyond this say no more.
  private static let largestAdvantage: Float = 5

  init(material: DistillationMaterial, steps: Int) { (self.material, self.steps) = (material, steps) }

  private struct Rollout {
    /// The step it was drawn for.
    let step: Int
    let batch: TrainingBatch
    let policy: LossTarget.Policy
  }

  /// Where texts are drawn: those of the step before are not kept.
  func canResume(at step: Int) -> Bool { step % Self.reuse == 0 }

  func windowsAsked(before step: Int) throws -> [Int] {
    try (0..<step).flatMap { try material.indices(step: $0, phase: 3, count: material.options.batchWindows) }
  }

  func step(_ trainer: Trainer) throws -> TrainingStep {
    let count = material.options.batchWindows
    let first = trainer.steps / Self.reuse * Self.reuse
    if rollout?.step != first { rollout = try draw(trainer, step: first) }
    guard let rollout else { throw CompressionError("policy", "has no text", kind: .badData) }
    let indices = try material.indices(step: trainer.steps, phase: 3, count: count)
    let target = try material.target(indices)
    let given = DistillationMaterial.batch(indices.map { material.windows[$0] })
    // Both halves weigh as their share says, whatever their lengths.
    let factor = Float(given.targetWeight / rollout.batch.targetWeight) * Self.share / (1 - Self.share)
    let own = TrainingBatch(
      tokens: rollout.batch.tokens, sequences: rollout.batch.sequences, targets: rollout.batch.targets,
      weights: rollout.batch.weights.map { $0 * factor })
    return try trainer.step([given, own]) { index, _, _ in
      TrainingObjective(index == 0 ? target : .policy(rollout.policy))
    }
  }

  private func draw(_ trainer: Trainer, step: Int) throws -> Rollout {
    let (length, continuation) = Self.lengths(windows: material.options.sequenceLength)
    let indices = try material.indices(step: step, phase: 4, count: material.options.batchWindows)
    let prompts = indices.map { Array(material.windows[$0].prefix(length)) }
    let texts = try LockstepSampler(interpreter: trainer.interpreter).continuations(
      of: prompts, by: trainer.model, tokens: continuation, seed: SeededRandom.value(seed: material.seed ^ 0x5AAD, index: UInt64(step)))
    let tokens = texts.flatMap { $0.dropLast() }, next = texts.flatMap { $0.dropFirst() }
    let sequences = SequenceLayout(lengths: texts.map { $0.count - 1 })
    let scores = try trainer.interpreter.policyScores(
      of: trainer.model, against: material.teacher, rows: tokens, sequences: sequences, followedBy: next)
    var advantages: [Float] = []
    for row in next.indices {
      let reward = scores.teacher[row] - scores.student[row]
      advantages.append(min(max(reward + scores.divergence[row], -Self.largestAdvantage), Self.largestAdvantage))
    }
    let rows = length + continuation - 1
    let weights: [Float] = next.indices.map { $0 % rows >= length - 1 ? 1 : 0 }
    return Rollout(
      step: step, batch: TrainingBatch(tokens: tokens, sequences: sequences, targets: next, weights: weights),
      policy: LossTarget.Policy(tokens: next, advantages: advantages, logProbabilities: scores.student))
  }
}
