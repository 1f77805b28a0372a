import Compression
import Execution
import Foundation
import Training

/// How a model is fine-tuned: everything but the model, the data and the place of the output.
public struct FinetuneSettings: Codable, Sendable, Hashable {
  public enum Method: String, Codable, Sendable, Hashable, CaseIterable {
    /// Adapters beside a model that stays as it is.
    case lora
    /// Every parameter.
    case full
  }

  public var method = Method.lora
  /// What the model is quantized to before it is adapted (QLoRA, Dettmers et al. 2023); nil to take it as it is.
  public var base: BaseQuantization?
  public var adaptation = LowRankAdaptation()
  /// How many times faster than A the factor B learns.
  public var upRate: Float = 1
  public var learningRate: Float = 2e-4
  public var schedule = LearningRateSchedule.Shape.cosine
  /// Where the learning rate ends, as a share of its peak.
  public var floor: Float = 0.1
  /// The share of all steps that the learning rate rises in.
  public var warmup = 0.05
  /// Cosines one behind the other (warm restarts).
  public var cycles = 1
  public var optimizer = AdamWSettings()
  public var clip: Float = 1
  /// Passes over the data, when no number of steps is given.
  public var epochs = 1.0
  public var steps = 0
  /// Rows of `sequenceLength` tokens that go through the model together.
  public var batchSize = 8
  /// Batches whose gradients are added up for a step.
  public var accumulation = 1
  /// Tokens a row; 0 for 512, or the model's maximum when that is less.
  public var sequenceLength = 0
  public var shuffles = true
  /// Whether the first pass goes from what the model finds easy to what it finds hard.
  public var curriculum = false
  /// The share of the examples that is held out, when no text to evaluate on is given.
  public var heldOut = 0.05
  /// Steps between two evaluations; 0 for a tenth of all.
  public var evaluationInterval = 0
  /// The most tokens that an evaluation scores.
  public var evaluationTokens = 32_768
  /// Evaluations without a better one before training ends; 0 for never.
  public var patience = 0
  /// What products are computed in while training; evaluations are computed in float32.
  public var precision = ProductPrecision.float32
  /// Whether values between operations are kept from the forward run, or computed a second time.
  public var keepsActivations = false
  public var seed: UInt64 = 0

  public init() {}
}
