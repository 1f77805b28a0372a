import Diagnostics
import ModelGraph

/// Rounding that is learned block by block (SignRound, Cheng et al. 2023, arXiv:2309.05516): an offset for every weight and the range of
/// every group are trained, by signed gradient descent, until the block computes what the uncompressed one did. Needs calibration text.
///
/// A block is trained on the activations that the compressed blocks before it leave, towards what the uncompressed model has behind it. The
/// result is never worse than the start, by the loss on windows that are put aside for this (with fewer than 16 steps' worth of windows: on
/// windows that are trained on too, and the report says so).
public struct AutoRound: CompressionPass, QuantizingPass {
  public static let identifier = "autoround"
  public static let contract = PassContract(establishes: [.quantizedWeights], forbids: [.quantizedWeights])

  /// Which layers become what.
  public var targets = QuantizationTargets()
  /// Steps of training for each block; 0 keeps the start.
  public var iterations = 200
  /// Windows of a step.
  public var batchWindows = 8
  /// How far the first step goes, in steps of the grid; it falls to 0 linearly. 0 for 1 / iterations.
  public var learningRate: Float = 0
  /// The same for the ranges, as a share of them. 0 for the learning rate.
  public var rangeRate: Float = 0
  /// What training starts from.
  public var start = Start.feedback
  /// How an error of the block's output is weighed.
  public var loss = Loss.sensitivity

  /// Codes that training may start from.
  public enum Start: String, Codable, Sendable, Hashable, CaseIterable {
    /// Every weight at its nearest code, on scales with the smallest squared error.
    case nearest
    /// The codes that error feedback finds (`GPTQ`), with the loss `sensitivity` those of its two-sided form.
    case feedback
  }

  /// Ways to weigh errors.
  public enum Loss: String, Codable, Sendable, Hashable, CaseIterable {
    /// All tokens and features alike.
    case plain
    /// By what the model's output distribution feels of it (`OutputSensitivity`).
    case sensitivity
  }

  public init() {}

  public init(bits: Int, method: QuantizationTargets.Method = .symmetric, groupSize: Int = 128, iterations: Int = 200) {
    targets.bits = bits
    targets.method = method
    targets.groupSize = groupSize
    self.iterations = iterations
  }

  public var needs: Set<PassNeed> {
    loss == .sensitivity ? [.calibration, .referenceActivations, .gradients] : [.calibration, .referenceActivations]
  }

  private enum CodingKeys: String, CodingKey {
    case iterations, start, loss
    case batchWindows = "batch-windows"
    case learningRate = "learning-rate"
    case rangeRate = "range-rate"
  }

  public init(from decoder: any Decoder) throws {
    targets = try QuantizationTargets(from: decoder)
    let values = try decoder.container(keyedBy: CodingKeys.self)
    iterations = try values.decode(Int.self, forKey: .iterations)
    batchWindows = try values.decode(Int.self, forKey: .batchWindows)
    learningRate = try values.decode(Float.self, forKey: .learningRate)
    rangeRate = try values.decode(Float.self, forKey: .rangeRate)
    start = try values.decode(Start.self, forKey: .start)
    loss = try values.decode(Loss.self, forKey: .loss)
  }

  public func encode(to encoder: any Encoder) throws {
    try targets.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(iterations, forKey: .iterations)
    try values.encode(batchWindows, forKey: .batchWindows)
    try values.encode(learningRate, forKey: .learningRate)
    try values.encode(rangeRate, forKey: .rangeRate)
    try values.encode(start, forKey: .start)
    try values.encode(loss, forKey: .loss)
  }

  public func validate(for graph: ModelGraph) throws(CompressionError) {
    try targets.requireGrids(for: graph)
    guard (0...100_000).contains(iterations), (1...4096).contains(batchWindows) else {
      throw CompressionError(
        "autoround", "cannot take \(iterations) steps of \(batchWindows) windows",
        remedy: "use 0 to 100000 iterations, 1 to 4096 batch-windows", kind: .badConfiguration)
    }
    for (name, value) in [("learning-rate", learningRate), ("range-rate", rangeRate)] where !(value >= 0 && value <= 1) {
      throw CompressionError(
        "autoround: \(name)", "of \(value) is not from 0 to 1", remedy: "use 0 for the default", kind: .badConfiguration)
    }
  }

  public func begin(on graph: ModelGraph, in context: PassContext) throws(CompressionError) -> any BlockPass {
    AutoRoundWorker(pass: self, schemes: try targets.schemes(for: graph))
  }
}
