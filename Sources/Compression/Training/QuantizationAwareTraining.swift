import Diagnostics
import Execution
import ModelGraph
import Tensors

/// Quantization-aware training: the weights, the step sizes they are rounded by and the gains of norms are trained together until the
/// quantized model predicts what the unquantized one does (KL divergence of its distributions; LSQ, Esser et al. 2020, with the unquantized
/// model as the teacher, Nvidia's QAD). Starts from codes found by error feedback, and is given up where it does not help. Needs text.
///
/// It holds the whole model in memory, in float32 with two moments: about 20 bytes a weight that is quantized, and the activations of a step.
public struct QuantizationAwareTraining: CompressionPass, QuantizingPass {
  public static let identifier = "qat"
  public static let contract = PassContract(establishes: [.quantizedWeights], forbids: [.quantizedWeights, .smoothedFeatures])

  /// What is trained.
  public enum Form: String, Codable, Sendable, Hashable, CaseIterable {
    /// Weights, step sizes and the gains of norms (LSQ).
    case weights
    /// Step sizes and gains; codes stay as the start has them. Holds some 8 bytes a weight that is quantized: its values and their gradient.
    case scales
    /// The same behind a start whose rounding and ranges were learned block by block (EfficientQAT, Chen et al. 2024).
    case blockwise
  }

  /// Which layers become what.
  public var targets = QuantizationTargets()
  /// What is trained.
  public var form = Form.weights
  /// Steps of the optimizer.
  public var steps = 600
  /// Windows of a step.
  public var batchWindows = 16
  /// How far a weight, or a scale that is trained alone, may move in a step, in steps of its grid; 0 for what suits the width.
  public var learningRate: Float = 0
  /// The learning rate of step sizes, as a share of that of weights.
  public var scaleRate: Float = 0.1
  /// The learning rate of the gains of norms, as a share of that of weights; 0 leaves them as they are.
  public var gainRate: Float = 0.01
  /// Windows that the start is calibrated on.
  public var startWindows = 256
  /// What products are computed in while training.
  public var precision = ProductPrecision.bfloat16

  public init() {}

  public init(bits: Int, method: QuantizationTargets.Method = .symmetric, groupSize: Int = 128, steps: Int = 600) {
    targets.bits = bits
    targets.method = method
    targets.groupSize = groupSize
    self.steps = steps
  }

  public var needs: Set<PassNeed> { [.training] }

  /// What training starts from.
  public var start: any CompressionPass {
    guard form != .blockwise else {
      var pass = AutoRound()
      pass.targets = targets
      return pass
    }
    var pass = GPTQ()
    pass.targets = targets
    pass.outputSensitivity = true
    return pass
  }

  /// The variables of a model that `start` has quantized.
  package func parameters(of start: ModelGraph, from source: ModelGraph, pool: ThreadPool) throws -> any QuantizedParameters {
    switch form {
    case .weights: try StepSizeParameters(of: start, from: source, scaleRate: scaleRate, gainRate: gainRate, pool: pool)
    case .scales, .blockwise: try ScaleParameters(of: start, from: source, gainRate: gainRate)
    }
  }

  /// The peak of the learning rate.
  public var rate: Float {
    if learningRate > 0 { return learningRate }
    if form != .weights { return targets.bits <= 2 ? 0.015 : targets.bits == 3 ? 0.008 : 0.004 }
    return Self.weightRate(bits: targets.bits)
  }

  /// How far a weight of that many bits may move in a step, in steps of its grid, at the peak.
  package static func weightRate(bits: Int) -> Float { bits <= 2 ? 0.001 : bits == 3 ? 0.0005 : 0.00025 }

  private enum CodingKeys: String, CodingKey {
    case steps, precision
    case form = "training"
    case batchWindows = "batch-windows"
    case learningRate = "learning-rate"
    case scaleRate = "scale-rate"
    case gainRate = "gain-rate"
    case startWindows = "start-windows"
  }

  public init(from decoder: any Decoder) throws {
    targets = try QuantizationTargets(from: decoder)
    let values = try decoder.container(keyedBy: CodingKeys.self)
    form = try values.decode(Form.self, forKey: .form)
    steps = try values.decode(Int.self, forKey: .steps)
    precision = try values.decode(ProductPrecision.self, forKey: .precision)
    batchWindows = try values.decode(Int.self, forKey: .batchWindows)
    learningRate = try values.decode(Float.self, forKey: .learningRate)
    scaleRate = try values.decode(Float.self, forKey: .scaleRate)
    gainRate = try values.decode(Float.self, forKey: .gainRate)
    startWindows = try values.decode(Int.self, forKey: .startWindows)
  }

  public func encode(to encoder: any Encoder) throws {
    try targets.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(form, forKey: .form)
    try values.encode(steps, forKey: .steps)
    try values.encode(precision, forKey: .precision)
    try values.encode(batchWindows, forKey: .batchWindows)
    try values.encode(learningRate, forKey: .learningRate)
    try values.encode(scaleRate, forKey: .scaleRate)
    try values.encode(gainRate, forKey: .gainRate)
    try values.encode(startWindows, forKey: .startWindows)
  }

  public func validate(for graph: ModelGraph) throws(CompressionError) {
    try targets.requireGrids(for: graph)
    func check(_ holds: Bool, _ option: String, _ problem: String) throws(CompressionError) {
      guard holds else { throw CompressionError("\(Self.identifier): \(option)", problem, kind: .usage) }
    }
    try check((1...1_000_000).contains(steps), "steps", "\(steps) is not from 1 to 1000000")
    try check((1...4096).contains(batchWindows), "batch-windows", "\(batchWindows) is not from 1 to 4096")
    try check((1...1_000_000).contains(startWindows), "start-windows", "\(startWindows) is not from 1 to 1000000")
    try check(learningRate.isFinite && (0...1).contains(learningRate), "learning-rate", "\(learningRate) is not from 0 to 1")
    try check(
      form == .weights || scaleRate == Self().scaleRate, "scale-rate",
      "is for `training: weights`; scales that are trained alone follow learning-rate")
    try check(scaleRate.isFinite && scaleRate >= 0, "scale-rate", "\(scaleRate) is below 0")
    try check(gainRate.isFinite && gainRate >= 0, "gain-rate", "\(gainRate) is below 0")
  }

  public func begin(on graph: ModelGraph, in context: PassContext) throws(CompressionError) -> any BlockPass {
    Worker(schemes: try targets.schemes(for: graph))
  }

  /// Puts what was trained in its place.
  private struct Worker: BlockPass {
    let schemes: [ParameterID: QuantizationScheme]
    var record = PassRecord(pass: QuantizationAwareTraining.identifier)
    var plan: [ParameterID: WeightStorage] { schemes.mapValues { .quantized($0) } }

    init(schemes: [ParameterID: QuantizationScheme]) { self.schemes = schemes }

    mutating func apply(to block: Block, of graph: inout ModelGraph, in context: PassContext) throws {
      for (node, id) in graph.linears(of: block) where schemes[id] != nil {
        guard let trained = context.trained?.weights[id] else {
          throw CompressionError(node.scope, "was not trained", kind: .badConfiguration)
        }
        try graph.replace(id, with: .quantized(trained.tensor))
        record.layers.append(
          PassRecord.Layer(
            module: graph[id].module, scheme: trained.tensor.scheme, weights: graph[id].shape.elementCount, clipped: trained.clipped))
      }
      for id in graph.parameters(of: block) {
        if let gain = context.trained?.gains[id] { try graph.replace(id, with: .dense(gain)) }
      }
    }
  }
}

/// What training has made of a model.
public struct TrainedWeights: Sendable {
  /// Quantized weights, and how many of each were clamped by more than rounding.
  public var weights: [ParameterID: (tensor: QuantizedTensor, clipped: Int)]
  /// Gains of norms, in the types that they are stored in.
  public var gains: [ParameterID: Tensor]

  public init(weights: [ParameterID: (tensor: QuantizedTensor, clipped: Int)], gains: [ParameterID: Tensor]) {
    self.weights = weights
    self.gains = gains
  }

  /// The model with them in their places.
  public func applied(to source: ModelGraph) throws -> ModelGraph {
    var graph = source
    for (id, weight) in weights { try graph.replace(id, with: .quantized(weight.tensor)) }
    for (id, gain) in gains { try graph.replace(id, with: .dense(gain)) }
    return graph
  }
}
