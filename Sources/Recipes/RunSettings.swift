import Distribution
import Execution
import Foundation

/// Where a run writes, what it measures on, and what it may use.
public struct RunSettings: Sendable {
  public var output: URL
  /// Replace an existing output.
  public var overwrite: Bool
  /// Continue where an earlier run with the same model and recipe was stopped or killed.
  public var resume = false
  /// What to measure accuracy on; nil for no measurement.
  public var evaluation: EvaluationSettings? = EvaluationSettings()
  public var gates = AccuracyGates()
  /// What was tried before the recipe was settled, for the report.
  public var trials: [AlgorithmTrial.Outcome] = []
  /// What the result is held against, where that is not the model that goes in: what a whole recipe began on, or a teacher.
  public var reference: ModelBundle?
  /// Worker threads; nil for one per processor. The bytes that are written never depend on it.
  public var threads: Int?
  /// The most bytes that activations and buffers may take; nil for the default.
  public var maximumMemory: Int?
  /// The processes that share the run, each of which makes the same calls. The bytes that are written never depend on how many there are.
  public var group = ProcessGroup.alone
  /// Whether these processes run text through a block together, each computing a part of every layer's outputs, so that each needs a part of the
  /// block's weights only; else each runs text of its own through all of the block. Training always does the latter. The bytes that are written never
  /// depend on it.
  public var isTensorParallel = false

  public init(output: URL, overwrite: Bool = false) {
    self.output = output
    self.overwrite = overwrite
  }

  /// What runs models for it, with threads of its own.
  func makeInterpreter() -> Interpreter {
    Interpreter(pool: ThreadPool(threads: threads), group: group, tensorParallel: isTensorParallel)
  }
}

/// The text that a report is measured on.
public struct EvaluationSettings: Sendable {
  /// `.txt`, or `.jsonl` with a "text" member a line.
  public var text: URL
  /// Tokens a window; nil for 512, or the model's maximum when that is less.
  public var context: Int?
  /// The most tokens of the text to use; nil for all.
  public var tokens: Int?
  /// Windows that run together; nil for as many as make 2048 tokens. Figures never depend on it.
  public var batchSize: Int?
  /// Whether to time both models.
  public var measuresSpeed = true
  /// A quantized cache of keys and values whose cost is measured as well; `.none` for no such measurement.
  public var keyValueCache = KeyValueQuantization.none
  /// What products are computed in.
  public var arithmetic = Arithmetic.float32

  public init(text: URL = DemoModel.evaluationText, context: Int? = nil, tokens: Int? = nil) {
    self.text = text
    self.context = context
    self.tokens = tokens
  }
}

/// Limits that the result must keep; a miss keeps the checkpoint, and the command exits with status 2.
public struct AccuracyGates: Sendable {
  /// The largest allowed perplexity ratio less 1: 0.01 for one per cent.
  public var maximumPerplexityIncrease: Double?
  /// The largest allowed mean KL divergence in nats.
  public var maximumKLDivergence: Double?

  public init(maximumPerplexityIncrease: Double? = nil, maximumKLDivergence: Double? = nil) {
    self.maximumPerplexityIncrease = maximumPerplexityIncrease
    self.maximumKLDivergence = maximumKLDivergence
  }
}
