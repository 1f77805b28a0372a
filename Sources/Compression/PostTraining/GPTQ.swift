import Diagnostics
import Execution
import ModelGraph
import Tensors

/// Rounding with error feedback (GPTQ, Frantar et al. 2022): what the rounding of one input's weights does to a layer's outputs is made
/// good by the weights that follow. Needs calibration text.
///
/// Scales are fixed first, from the weights before any feedback (static groups; with `retarget` they are the moved weights'), so that
/// inputs may be processed in the order of their size. With `outputSensitivity` errors are weighed by what the model's output distribution
/// feels of them, between outputs and between tokens (`TwoSidedFeedback`), which takes a backward pass and is worth most at few bits.
public struct GPTQ: TargetedPass {
  public static let identifier = "gptq"
  public static let contract = PassContract(establishes: [.quantizedWeights], forbids: [.quantizedWeights])

  /// Which layers become what.
  public var targets = QuantizationTargets()
  /// Inputs with large activations first.
  public var actOrder = true
  /// What is added to the diagonal of the inputs' Gram matrix, as a share of its mean; raised where that does not make it positive
  /// definite.
  public var damping: Float = 0.01
  /// How the scale of a group is found before feedback.
  public var scaleSearch = ScaleSearch.imatrix
  /// Tries four ranges that are wider than the search's and keeps, for each output, the one that is best after feedback: at 3 bits and
  /// below feedback asks for wider ones.
  public var rangeTrials = RangeTrials.automatic
  /// Weighs errors by the Fisher information of the layer's outputs.
  public var outputSensitivity = false
  /// `damping` for that matrix.
  public var outputDamping: Float = 0.1
  /// Moves weights towards the outputs of the uncompressed model, as far as held-out calibration text says that it serves. Takes a second
  /// stream of activations, and calibration text of at least two batches.
  public var retarget = false

  /// Sweeps of coordinate descent over the codes that feedback left (`CoordinateDescent`). For wide layers they take longer than feedback.
  public var polish = Polish.automatic

  /// What the scale of a group is found by.
  public enum ScaleSearch: String, Codable, Sendable, Hashable, CaseIterable {
    /// From the group's extremes.
    case extremes
    /// The smallest squared error of the weights.
    case mse
    /// The smallest squared error, weighed by E[x²] of each input.
    case column
    /// Weighed by E[x²] and by the weights' own size (llama.cpp's importance matrix).
    case imatrix
  }

  /// How many sweeps of coordinate descent.
  public enum Polish: Sendable, Hashable, Codable, ExpressibleByIntegerLiteral {
    /// Three where few bits leave much to gain, at 3 bits and below, and with output sensitivity; else none.
    case automatic
    /// 0 for none.
    case sweeps(Int)

    public init(integerLiteral value: Int) { self = .sweeps(value) }

    public init(from decoder: any Decoder) throws {
      let value = try decoder.singleValueContainer()
      if let word = try? value.decode(String.self) {
        guard word == "automatic" else {
          throw DecodingError.dataCorruptedError(in: value, debugDescription: "\(word) is neither automatic nor a number of sweeps")
        }
        self = .automatic
      } else {
        self = .sweeps(try value.decode(Int.self))
      }
    }

    public func encode(to encoder: any Encoder) throws {
      var value = encoder.singleValueContainer()
      switch self {
      case .automatic: try value.encode("automatic")
      case .sweeps(let count): try value.encode(count)
      }
    }
  }

  /// When wider ranges are tried.
  public enum RangeTrials: String, Codable, Sendable, Hashable, CaseIterable {
    /// At 3 bits and below.
    case automatic
    case always
    case never
  }

  public init() {}

  public init(bits: Int, method: QuantizationTargets.Method = .symmetric, groupSize: Int = 128, outputSensitivity: Bool = false) {
    targets.bits = bits
    targets.method = method
    targets.groupSize = groupSize
    self.outputSensitivity = outputSensitivity
  }

  public var needs: Set<PassNeed> {
    var needs: Set<PassNeed> = [.calibration]
    if outputSensitivity { needs.insert(.gradients) }
    if retarget { needs.insert(.referenceActivations) }
    return needs
  }

  private enum CodingKeys: String, CodingKey {
    case actOrder = "act-order"
    case damping
    case scaleSearch = "scale-search"
    case rangeTrials = "range-trials"
    case outputSensitivity = "output-sensitivity"
    case outputDamping = "output-damping"
    case retarget
    case polish
  }

  public init(from decoder: any Decoder) throws {
    targets = try QuantizationTargets(from: decoder)
    let values = try decoder.container(keyedBy: CodingKeys.self)
    actOrder = try values.decode(Bool.self, forKey: .actOrder)
    damping = try values.decode(Float.self, forKey: .damping)
    scaleSearch = try values.decode(ScaleSearch.self, forKey: .scaleSearch)
    rangeTrials = try values.decode(RangeTrials.self, forKey: .rangeTrials)
    outputSensitivity = try values.decode(Bool.self, forKey: .outputSensitivity)
    outputDamping = try values.decode(Float.self, forKey: .outputDamping)
    retarget = try values.decode(Bool.self, forKey: .retarget)
    polish = try values.decode(Polish.self, forKey: .polish)
  }

  public func encode(to encoder: any Encoder) throws {
    try targets.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(actOrder, forKey: .actOrder)
    try values.encode(damping, forKey: .damping)
    try values.encode(scaleSearch, forKey: .scaleSearch)
    try values.encode(rangeTrials, forKey: .rangeTrials)
    try values.encode(outputSensitivity, forKey: .outputSensitivity)
    try values.encode(outputDamping, forKey: .outputDamping)
    try values.encode(retarget, forKey: .retarget)
    try values.encode(polish, forKey: .polish)
  }

  public func validate(for graph: ModelGraph) throws(CompressionError) {
    try targets.requireGrids(for: graph, allowingBlocks: true)
    for (name, value) in [("damping", damping), ("output-damping", outputDamping)] where !(value >= 0 && value <= 1) {
      throw CompressionError("gptq: \(name)", "of \(value) is not a share", remedy: "use 0 to 1", kind: .badConfiguration)
    }
    if case .sweeps(let count) = polish, !(0...100).contains(count) {
      throw CompressionError("gptq: polish", "of \(count) is no number of sweeps", remedy: "use 0 to 100", kind: .badConfiguration)
    }
  }

  public func begin(on graph: ModelGraph, in context: PassContext) throws(CompressionError) -> any BlockPass {
    GPTQWorker(pass: self, schemes: try targets.schemes(for: graph))
  }
}
