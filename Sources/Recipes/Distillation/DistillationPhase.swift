import Compression
import Diagnostics
import Execution
import ModelGraph
import Tensors
import Training

/// A stage of distillation, or a half of one: what each of its steps trains towards, and what says whether it helped.
protocol DistillationPhase {
  var name: String { get }
  /// What a person reads while it runs.
  var progressName: String { get }
  var steps: Int { get }
  /// What the learning rate is multiplied by where it begins; it ends where the next stage begins, or near 0.
  var rate: Float { get }
  /// What must become smaller.
  var measure: DistillationMeter.Measure { get }
  /// Whether the divergence on plain text may not grow meanwhile.
  var guardsDivergence: Bool { get }
  /// Variables that are trained beside the student's own; the student's alone by default.
  func parameters(_ base: any Parametrization) -> any Parametrization
  /// Called before the first step, with what gives the student as the stage found it.
  func begin(_ student: () throws -> LoadedModel) throws
  /// Whether a run can go on from behind that many steps as if it had never stopped.
  func canResume(at step: Int) -> Bool
  func step(_ trainer: Trainer) throws -> TrainingStep
  /// Windows whose distributions the stage asks for before that step: a run that goes on from there has not asked itself.
  func windowsAsked(before step: Int) throws -> [Int]
}

extension DistillationPhase {
  var rate: Float { 1 }
  var guardsDivergence: Bool { true }
  func parameters(_ base: any Parametrization) -> any Parametrization { base }
  func begin(_ student: () throws -> LoadedModel) throws {}
  func canResume(at step: Int) -> Bool { true }
  func windowsAsked(before step: Int) throws -> [Int] { [] }
}

/// Stage 1: hidden states.
struct FeaturePhase: DistillationPhase {
  let material: DistillationMaterial
  let alignment: FeatureAlignment
  let steps: Int
  /// Whether predictions are trained behind it: until then they may suffer.
  let isFollowed: Bool

  var name: String { "features" }
  var progressName: String { "Aligning features" }
  var measure: DistillationMeter.Measure { .features }
  var guardsDivergence: Bool { !isFollowed }

  func parameters(_ base: any Parametrization) -> any Parametrization {
    alignment.projectors.isEmpty ? base : ProjectedParameters(base, alignment)
  }

  func step(_ trainer: Trainer) throws -> TrainingStep {
    let indices = try material.indices(step: trainer.steps, phase: 1, count: material.options.batchWindows)
    // Projectors' gradients are kept beside the others.
    return try trainer.step([DistillationMaterial.batch(indices.map { material.windows[$0] })], isDivided: false) { _, batch, share in
      alignment.aim(
        at: try material.teacherStates(batch), sequences: batch.sequences, share: share / Float(material.mapping.pairs.count))
      return TrainingObjective(hidden: alignment)
    }
  }
}

/// Stage 2, first half: the teacher's distributions on given text.
struct LogitPhase: DistillationPhase {
  let material: DistillationMaterial
  let steps: Int

  var name: String { "logits" }
  var progressName: String { "Learning distributions" }
  var measure: DistillationMeter.Measure { .divergence }
  var guardsDivergence: Bool { false }

  func step(_ trainer: Trainer) throws -> TrainingStep {
    let indices = try material.indices(step: trainer.steps, phase: 2, count: material.options.batchWindows)
    material.note(indices)
    let parts = TrainingBatch.cut(indices) { material.windows[$0].count }
    let batches = parts.map { part in DistillationMaterial.batch(part.map { material.windows[$0] }) }
    return try trainer.step(batches) { index, _, _ in TrainingObjective(try material.target(parts[index])) }
  }

  func windowsAsked(before step: Int) throws -> [Int] {
    try (0..<step).flatMap { try material.indices(step: $0, phase: 2, count: material.options.batchWindows) }
  }
}

/// Training on the text alone, which distillation is compared with.
struct TextPhase: DistillationPhase {
  let material: DistillationMaterial
  let steps: Int

  var name: String { "cross-entropy" }
  var progressName: String { "Training on the text" }
  var measure: DistillationMeter.Measure { .divergence }

  func step(_ trainer: Trainer) throws -> TrainingStep {
    let indices = try material.indices(step: trainer.steps, phase: 2, count: material.options.batchWindows)
    let parts = TrainingBatch.cut(indices.map { material.windows[$0] }, rows: \.count)
    return try trainer.step(parts.map(DistillationMaterial.batch))
  }
}
