import Compression
import Diagnostics
import Evaluation
import Execution
import Foundation
import ModelGraph
import Reporting
import Tensors
import Training

/// Holds a student against its teacher on held-out text: predictions as they are, with typing errors, under perturbed embeddings, on the
/// student's own continuations, and hidden states.
struct DistillationMeter {
  let material: DistillationMaterial

  /// What stages are judged by: a figure, and the same window by window (or prompt by prompt).
  enum Measure: String {
    case features = "distance of hidden states"
    case divergence = "KL"
    case ownText = "KL on the student's own text"
    case robustness = "KL under perturbations"
  }

  struct Result {
    var figures: CompressionReport.Distillation.Figures
    var samples: [Measure: [Double]]
  }

  /// How far embeddings are moved, as shares of their root mean square length.
  static let epsilons: [Float] = [0.01, 0.03, 0.1]
  private static let attackSteps = 2
  private static let attackedWindows = 16
  private static let alignedWindows = 16
  private static let prompts = 64

  private var interpreter: Interpreter { material.interpreter }

  /// What the parts of a measurement cost, roughly: in forward runs of a window by student and teacher together.
  func costs(_ student: ModelGraph) -> [Double] {
    let held = Double(material.heldOut.count)
    let attacked = min(held, Double(Self.attackedWindows))
    // Each perturbation is looked for by gradients, and measured by one more.
    let perturbed = attacked * Double(Self.epsilons.count) * (2 + 2 * Double(Self.attackSteps + 1))
    let aligned = min(held, Double(Self.alignedWindows))
    return [held, held, perturbed, 2 * aligned, aligned, min(held, Double(Self.prompts)) * 4]
      .map { $0 * student.blocks.reduce(0) { $0 + student.operations(of: $1, tokens: material.options.sequenceLength) } }
  }

  /// - Parameters:
  ///   - student: the model as it would be written.
  ///   - part: told which of the parts begins.
  func measure(_ student: ModelGraph, part: (Int) -> Void = { _ in }) throws -> Result {
    part(0)
    // Of its own: what a projector has learned is not the student's doing.
    let alignment = try material.alignment(of: student)
    let model = try LoadedModel(student)
    var result = Result(figures: .init(), samples: [:])
    let clean = try accuracy(student, material.heldOut)
    result.figures.klDivergence = clean.klDivergence?.mean
    result.figures.topTokenAgreement = clean.topTokenAgreement
    result.figures.perplexity = clean.modelPerplexity.value
    result.samples[.divergence] = clean.windowDivergences
    part(1)
    let noisy = material.noisyHeldOut.enumerated().compactMap { index, window in window.map { (index, $0) } }
    var noise: [Int: Double] = [:]
    if noisy.count > 1 {
      let spoiled = try accuracy(student, noisy.map(\.1))
      result.figures.noisyKLDivergence = spoiled.klDivergence?.mean
      for (place, value) in zip(noisy.map(\.0), spoiled.windowDivergences) { noise[place] = value }
    }
    part(2)
    let attacked = try self.attacked(model)
    result.figures.adversarial = zip(Self.epsilons, attacked).compactMap { epsilon, losses in
      let mean = losses.reduce(0, +) / Double(max(1, losses.count))
      return mean.isFinite ? .init(epsilon: Double(epsilon), klDivergence: mean) : nil
    }
    result.samples[.robustness] = attacked.first?.indices.compactMap { index in
      let moved = attacked.reduce(0) { $0 + $1[index] } / Double(attacked.count)
      return noise.isEmpty ? moved : noise[index].map { (moved + $0) / 2 }
    }
    part(3)
    let distances = try self.distances(model, alignment)
    result.samples[.features] = distances
    result.figures.featureDistance = distances.reduce(0, +) / Double(max(1, distances.count))
    part(4)
    result.figures.centeredKernelAlignment = try kernelAlignment(model)
    part(5)
    let own = try ownText(model)
    result.samples[.ownText] = own
    result.figures.ownTextKLDivergence = own.isEmpty ? nil : own.reduce(0, +) / Double(own.count)
    return result
  }

  private func accuracy(_ student: ModelGraph, _ windows: [[Int32]]) throws -> Accuracy {
    let text = try EvaluationText(name: "held-out text", tokens: Array(windows.joined()), context: windows.first?.count ?? 0)
    return try Evaluator(interpreter: interpreter).accuracy(of: student, reference: material.teacher.graph, on: text)
  }

  /// Mean divergences of windows under each perturbation.
  private func attacked(_ model: LoadedModel) throws -> [[Double]] {
    let windows = Array(material.heldOut.prefix(Self.attackedWindows))
    return try Self.epsilons.map { epsilon in
      let attack = EmbeddingAttack(epsilon: epsilon, steps: Self.attackSteps, fixed: material.specialTokens)
      return try interpreter.group.figures(windows.count) { index in
        let batch = DistillationMaterial.batch([windows[index]])
        let weights = batch.weights.map { $0 / Float(batch.targetWeight) }
        let target = try material.exactTarget(tokens: batch.tokens, sequences: batch.sequences)
        let offset = try attack.offset(
          for: model, tokens: batch.tokens, sequences: batch.sequences, target: target, rowWeights: weights, interpreter: interpreter,
          seed: UInt64(index))
        return try interpreter.gradients(
          of: model, tokens: batch.tokens, sequences: batch.sequences, objective: TrainingObjective(target, embeddingOffset: offset),
          rowWeights: weights, wanting: []
        ).loss
      }
    }
  }

  private func distances(_ model: LoadedModel, _ alignment: FeatureAlignment) throws -> [Double] {
    let windows = Array(material.heldOut.prefix(Self.alignedWindows))
    return try interpreter.group.figures(windows.count) { index in
      let window = windows[index]
      let batch = DistillationMaterial.batch([window])
      let share = 1 / Float(max(1, window.count - 1) * material.mapping.pairs.count)
      alignment.aim(at: try material.teacherStates(batch), sequences: batch.sequences, share: share)
      return try interpreter.gradients(
        of: model, tokens: batch.tokens, sequences: batch.sequences, objective: TrainingObjective(hidden: alignment),
        rowWeights: batch.weights, wanting: []
      ).loss
    }
  }

  private func kernelAlignment(_ model: LoadedModel) throws -> Double {
    let batch = DistillationMaterial.batch(Array(material.heldOut.prefix(Self.alignedWindows)))
    let others = try material.teacherStates(batch)
    let own = try interpreter.states(
      of: model, tokens: batch.tokens, sequences: batch.sequences, at: Set(material.mapping.pairs.map(\.student)))
    let values = material.mapping.pairs.compactMap { pair in
      own[pair.student].flatMap { first in
        others[pair.teacher].map {
          FeatureProjection.centeredKernelAlignment(
            material.withoutFirstTokens(first), material.withoutFirstTokens($0), pool: interpreter.pool)
        }
      }
    }
    return values.reduce(0, +) / Double(max(1, values.count))
  }

  /// KL(student ‖ teacher) on what the student writes itself, prompt by prompt.
  private func ownText(_ model: LoadedModel) throws -> [Double] {
    let (length, continuation) = PolicyPhase.lengths(windows: material.options.sequenceLength)
    let prompts = material.heldOut.prefix(Self.prompts).map { Array($0.prefix(length)) }
    let texts = try LockstepSampler(interpreter: interpreter).continuations(of: prompts, by: model, tokens: continuation, seed: 0x0E)
    let scores = try interpreter.policyScores(
      of: model, against: material.teacher, rows: texts.flatMap { $0.dropLast() },
      sequences: SequenceLayout(lengths: texts.map { $0.count - 1 }), followedBy: texts.flatMap { $0.dropFirst() })
    let rows = length + continuation - 1
    return texts.indices.map { text in
      let drawn = scores.divergence[text * rows + length - 1..<(text + 1) * rows]
      return drawn.reduce(0) { $0 + Double($1) } / Double(drawn.count)
    }
  }
}
