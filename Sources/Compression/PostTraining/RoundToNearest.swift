import Tensors

/// Round-to-nearest quantization: scales from each group's extremes, every weight to its nearest code. Needs no data.
///
/// In types with minima (MLX's, some of GGUF's), nested scales or levels, whose scales no extreme says, they are searched as
/// ``MinimumSquaredError`` does.
public struct RoundToNearest: LayerwiseQuantization, TargetedPass {
  public static let identifier = "round-to-nearest"

  /// Which layers become what.
  public var targets = QuantizationTargets()
  /// How the scale of a symmetric group follows from its weights.
  public var scaleRule = ScaleRule.signedAbsmax

  public init() {}

  /// A symmetric or asymmetric pass over all linears.
  public init(bits: Int, method: QuantizationTargets.Method = .symmetric, groupSize: Int = 0) {
    targets.bits = bits
    targets.method = method
    targets.groupSize = groupSize
  }

  private enum CodingKeys: String, CodingKey { case scaleRule = "scale-rule" }

  // The targets' options stand beside the pass's own, so that a recipe reads `round-to-nearest: {bits: 4, group-size: 128}`.
  public init(from decoder: any Decoder) throws {
    targets = try QuantizationTargets(from: decoder)
    scaleRule = try decoder.container(keyedBy: CodingKeys.self).decode(ScaleRule.self, forKey: .scaleRule)
  }

  public func encode(to encoder: any Encoder) throws {
    try targets.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(scaleRule, forKey: .scaleRule)
  }

  public func quantize(
    _ weight: Tensor, named name: String, as scheme: QuantizationScheme, scaleType: DataType, in context: PassContext
  ) throws(CompressionError) -> QuantizedLayer {
    if let search = FreeSearch(scheme, scaleType: scaleType) {
      let result = try search.quantizeCounting(.tensor(weight), named: name, pool: context.pool)
      return QuantizedLayer(result.tensor, clipped: result.clipped)
    }
    let result = try RowQuantizer(scheme: scheme, rule: scaleRule, scaleType: scaleType).quantize(weight, named: name, pool: context.pool)
    return QuantizedLayer(result.tensor, clipped: result.clipped)
  }
}
