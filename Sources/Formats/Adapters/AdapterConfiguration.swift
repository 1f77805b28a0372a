import StructuredData

/// What `adapter_config.json` says of an adapter, in PEFT's terms.
///
/// The scaling of a module is γ = α / r, or α / √r for rank-stabilized adapters (rsLoRA, Kalajdzievski 2023); α and r are the defaults
/// below unless a pattern says otherwise for that module. mlx-lm stores γ itself: read from there, `alpha` is γ · r.
public struct AdapterConfiguration: Sendable, Hashable {
  /// One entry of `rank_pattern` or `alpha_pattern`. The first entry that matches a module counts.
  public struct Override<Value: Sendable & Hashable>: Sendable, Hashable {
    /// A regular expression for the end of a module's name: it starts at the name's start or after a dot.
    public let pattern: String
    public let value: Value

    public init(pattern: String, value: Value) {
      self.pattern = pattern
      self.value = value
    }
  }

  /// The layout it was read from, nil when it was not read. `otherKeys` only mean something there.
  public var origin: AdapterFormat?
  /// The default rank r; at least 1.
  public var rank: Int
  /// The default α; never zero, for the adapter would do nothing.
  public var alpha: Double
  /// Whether γ = α / √r.
  public var isRankStabilized: Bool
  /// Whether every module has a magnitude: weight-decomposed adapters (DoRA, Liu et al. 2024).
  public var isWeightDecomposed: Bool
  /// Which modules of the base model have an adapter.
  public var targets: AdapterTargets
  public var rankOverrides: [Override<Int>]
  public var alphaOverrides: [Override<Double>]
  /// Name or path of the base model, as the trainer wrote it; never opened here.
  public var baseModel: String?
  /// Dropout on an adapter's input while training.
  public var dropout: Double
  /// PEFT's `task_type`, such as `CAUSAL_LM`.
  public var taskType: String?
  /// PEFT's `bias`: which biases were trained. An adapter that holds any is refused.
  public var bias: String
  /// Everything else that the file says, in its order.
  public var otherKeys: JSONObject

  /// The settings of an adapter that is made here. The writer takes ranks, scalings and targets from the modules themselves.
  public init(
    rank: Int, alpha: Double, isRankStabilized: Bool = false, isWeightDecomposed: Bool = false,
    targets: AdapterTargets = AdapterTargets(modules: .names([])), baseModel: String? = nil, dropout: Double = 0,
    taskType: String? = "CAUSAL_LM"
  ) {
    origin = nil
    self.rank = rank
    self.alpha = alpha
    self.isRankStabilized = isRankStabilized
    self.isWeightDecomposed = isWeightDecomposed
    self.targets = targets
    rankOverrides = []
    alphaOverrides = []
    self.baseModel = baseModel
    self.dropout = dropout
    self.taskType = taskType
    bias = "none"
    otherKeys = JSONObject()
  }

  /// γ of a module of that rank and α.
  public func scaling(rank: Int, alpha: Double) -> Double {
    isRankStabilized ? alpha / Double(rank).squareRoot() : alpha / Double(rank)
  }

  /// The α that gives this γ at this rank: a whole number where one gives it exactly, else the double next to it that does.
  func alpha(givingScaling scaling: Double, rank: Int) -> Double {
    let product = isRankStabilized ? scaling * Double(rank).squareRoot() : scaling * Double(rank)
    let candidates = [product.rounded(), product, product.nextUp, product.nextDown]
    return candidates.first { self.scaling(rank: rank, alpha: $0) == scaling } ?? product
  }
}
