import Diagnostics
import Distribution
import Execution
import Foundation
import ModelGraph

/// What of a training run is not data.
public struct TrainerSettings: Codable, Sendable, Hashable {
  public var optimizer: AdamWSettings
  public var schedule: LearningRateSchedule
  /// Steps of the optimizer in all.
  public var steps: Int
  /// Gradients longer than this are shortened to it; 0 for never (Pascanu et al. 2013).
  public var clip: Float

  public init(optimizer: AdamWSettings = AdamWSettings(), schedule: LearningRateSchedule, steps: Int, clip: Float = 1) {
    self.optimizer = optimizer
    self.schedule = schedule
    self.steps = steps
    self.clip = clip
  }
}

/// What one step of the optimizer did.
public struct TrainingStep: Sendable, Hashable {
  /// Counted from 0.
  public let index: Int
  /// The mean over the predictions that count, before the step, in nats.
  public let loss: Double
  /// The length of the gradient before it was shortened.
  public let gradientNorm: Double
  public let learningRate: Float
  /// Tokens that went through the model.
  public let tokens: Int
  /// Whether the loss or the gradient was not finite, and nothing was changed; not where the loss scale of float16 fell for it.
  public let isSkipped: Bool
}

/// Trains the variables of a parametrization, step by step. The result depends on the batches, not on the number of threads or processes, or
/// on how often it was stopped and resumed.
public final class Trainer {
  public let settings: TrainerSettings
  /// Of evaluations.
  public let interpreter: Interpreter
  /// The same, with products in the precision of training.
  private var training: Interpreter
  public let parametrization: any Parametrization
  /// The model with the variables in it.
  public let model: LoadedModel
  public var retention: ActivationRetention
  let optimizer: AdamW
  /// Steps that were made, skipped ones among them.
  public internal(set) var steps = 0
  var skippedInARow = 0
  /// Whether the model's own weights were found to be numbers, which is asked when a step has no finite gradient.
  private var isChecked = false
  /// What losses are multiplied by on their way back; 1 but for float16.
  var lossScale: LossScale

  /// Steps without a finite gradient, one after the other, that end a run.
  private static let patience = 10

  public init(
    _ model: LoadedModel, _ parametrization: any Parametrization, settings: TrainerSettings, interpreter: Interpreter,
    products: ProductPrecision = .float32, retention: ActivationRetention = .recompute
  ) throws {
    training = interpreter
    training.products = products
    lossScale = LossScale(for: products)
    self.settings = settings
    self.interpreter = interpreter
    self.parametrization = parametrization
    self.model = try model.overriding(parametrization.values)
    self.retention = retention
    optimizer = AdamW(parametrization.variables, settings: settings.optimizer)
    try parametrization.update(pool: interpreter.pool)
  }

  static func clippingFactor(norm: Double, limit: Float) -> Float {
    limit > 0 ? min(1, limit / (Float(norm) + 1e-6)) : 1
  }

  /// One step of the optimizer over some batches, whose gradients are added up in their order: the loss is the mean over all their
  /// predictions, however they are cut. Several processes each find the gradients of some batches.
  /// - Parameters:
  ///   - isDivided: false where every process finds all gradients, because the objective keeps something of each batch.
  ///   - objective: what a batch is trained towards, given its place among the batches and the share of all predictions that one of its rows of
  ///     weight 1 has; its own tokens when nil.
  @discardableResult
  public func step(
    _ batches: [TrainingBatch], isDivided: Bool = true,
    objective: ((Int, TrainingBatch, _ share: Float) throws -> TrainingObjective)? = nil
  ) throws -> TrainingStep {
    let total = batches.reduce(0) { $0 + $1.targetWeight }
    guard total > 0 else { throw TrainingError("batch", "has no predictions that count", kind: .badData) }
    let scale = Double(lossScale.value)
    let group = isDivided ? group : .alone
    var sums = GradientSums(interpreter, group, wanted: parametrization.wanted)
    for round in stride(from: 0, to: batches.count, by: group.count) {
      var own: ModelGradients?
      let index = round + group.rank
      if index < batches.count {
        let batch = batches[index]
        own = try training.gradients(
          of: model, tokens: batch.tokens, sequences: batch.sequences,
          objective: try objective?(index, batch, Float(scale / total)) ?? TrainingObjective(.tokens(batch.targets)),
          rowWeights: batch.weights.map { Float(Double($0) / total * scale) }, wanting: parametrization.wanted, retention: retention)
      }
      for batch in round..<min(round + group.count, batches.count) { try sums.add(own, of: group.owner(of: batch)) }
    }
    var loss = sums.loss
    let gradients = try parametrization.gradients(from: sums.parameters, pool: interpreter.pool)
    loss /= scale
    let norm = gradientNorm(gradients) / scale
    let isFinite = loss.isFinite && norm.isFinite
    let rate = settings.schedule.rate(at: steps, of: settings.steps)
    if isFinite {
      optimizer.step(
        gradients, learningRate: rate, factor: Self.clippingFactor(norm: norm, limit: settings.clip) / lossScale.value,
        pool: interpreter.pool)
      try parametrization.update(pool: interpreter.pool)
      skippedInARow = 0
    } else if !lossScale.canFall {
      // Of weights that are no numbers nothing is learned, whatever the learning rate.
      if !isChecked, let cause = model.graph.notFinite() { throw cause }
      isChecked = true
      skippedInARow += 1
    }
    // A loss scale that is still too large is no trouble of the training's own.
    let isScale = lossScale.canFall
    lossScale.adapt(isFinite: isFinite)
    defer { steps += 1 }
    guard skippedInARow < Self.patience else {
      throw TrainingError(
        "training", "has diverged: no finite gradient in \(skippedInARow) steps, the last at step \(steps)",
        remedy: "use a lower learning rate, or a longer warm-up", kind: .badData)
    }
    return TrainingStep(
      index: steps, loss: loss, gradientNorm: norm, learningRate: rate, tokens: batches.reduce(0) { $0 + $1.tokens.count },
      isSkipped: !isFinite && !isScale)
  }

  /// The mean loss over the predictions of some batches, with the variables as they are.
  public func loss(_ batches: [TrainingBatch]) throws -> Double {
    let total = batches.reduce(0) { $0 + $1.targetWeight }
    guard total > 0 else { return .nan }
    let losses = try batches.enumerated().map { index, batch in
      guard group.owns(index) else { return 0.0 }
      return try interpreter.gradients(
        of: model, tokens: batch.tokens, sequences: batch.sequences, target: .tokens(batch.targets),
        rowWeights: batch.weights.map { Float(Double($0) / total) }, wanting: []
      ).loss
    }
    return try losses.indices.reduce(0) { sum, index in
      try sum + Double(bitPattern: group.broadcast(losses[index].bitPattern, from: group.owner(of: index)))
    }
  }

  /// The processes that divide the batches.
  private var group: ProcessGroup { interpreter.group }
}
