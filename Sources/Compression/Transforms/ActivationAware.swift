import Diagnostics
import ModelGraph

/// Activation-aware quantization (AWQ, Lin et al. 2024): inputs that carry large activations get finer weights, by factors folded into what
/// produces them; then scales with the smallest weighted error are searched. Needs calibration text.
///
/// The factors of an input are s = E|x|^r / (mean|w|^(1−r) + 1e-4), for the r that makes the error of the layers' outputs least, tr(ΔW H
/// ΔWᵀ) with the Gram matrix H of the input, after rounding as it will be done. What differs from the original: no factors at all are tried
/// too, the error is that of each linear layer instead of the block's, and on a sample of outputs.
public struct ActivationAware: CompressionPass, QuantizingPass {
  public static let identifier = "awq"
  public static let contract = PassContract(establishes: [.quantizedWeights], forbids: [.quantizedWeights])

  /// Which layers become what.
  public var targets = QuantizationTargets()
  /// Exponents that are tried, evenly from 0 up to below 1.
  public var steps = 20
  /// Outputs of the layers behind one input that errors are measured on, at most.
  public var sampledOutputs = 512

  public init() {}

  public init(bits: Int, method: QuantizationTargets.Method = .symmetric, groupSize: Int = 128) {
    targets.bits = bits
    targets.method = method
    targets.groupSize = groupSize
  }

  public var needs: Set<PassNeed> { [.calibration] }

  private enum CodingKeys: String, CodingKey {
    case steps
    case sampledOutputs = "sampled-outputs"
  }

  public init(from decoder: any Decoder) throws {
    targets = try QuantizationTargets(from: decoder)
    let values = try decoder.container(keyedBy: CodingKeys.self)
    steps = try values.decode(Int.self, forKey: .steps)
    sampledOutputs = try values.decode(Int.self, forKey: .sampledOutputs)
  }

  public func encode(to encoder: any Encoder) throws {
    try targets.encode(to: encoder)
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encode(steps, forKey: .steps)
    try values.encode(sampledOutputs, forKey: .sampledOutputs)
  }

  public func validate(for graph: ModelGraph) throws(CompressionError) {
    try targets.requireGrids(for: graph)
    for (name, value, range) in [("steps", steps, 1...1000), ("sampled-outputs", sampledOutputs, 1...1 << 20)] where !range.contains(value)
    {
      throw CompressionError(
        "awq: \(name)", "of \(value) is out of range", remedy: "use \(range.lowerBound) to \(range.upperBound)", kind: .badConfiguration)
    }
  }

  public func begin(on graph: ModelGraph, in context: PassContext) throws(CompressionError) -> any BlockPass {
    ActivationAwareWorker(pass: self, schemes: try targets.schemes(for: graph))
  }
}
