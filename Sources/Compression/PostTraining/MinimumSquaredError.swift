import Tensors

/// Round-to-nearest on the scales (and zero points) with the smallest squared error of each group, found by search. Needs no data.
///
/// A narrower range than the extremes' own clips a few large weights and represents all others more finely; the fewer the bits, the more
/// that gains. Every scale is judged as the value it will be stored as. Never worse, in squared error, than any `ScaleRule`.
public struct MinimumSquaredError: LayerwiseQuantization, TargetedPass {
  public static let identifier = "mse"

  /// Which layers become what.
  public var targets = QuantizationTargets()

  public init() {}

  /// A symmetric or asymmetric pass over all linears.
  public init(bits: Int, method: QuantizationTargets.Method = .symmetric, groupSize: Int = 0) {
    targets.bits = bits
    targets.method = method
    targets.groupSize = groupSize
  }

  // The targets' options are the pass's own: a recipe reads `mse: {bits: 4, group-size: 128}`.
  public init(from decoder: any Decoder) throws { targets = try QuantizationTargets(from: decoder) }

  public func encode(to encoder: any Encoder) throws { try targets.encode(to: encoder) }

  public func quantize(
    _ weight: Tensor, named name: String, as scheme: QuantizationScheme, scaleType: DataType, in context: PassContext
  ) throws(CompressionError) -> QuantizedLayer {
    let result = try SearchedScales.quantize(.tensor(weight), named: name, as: scheme, scaleType: scaleType, pool: context.pool)
    return QuantizedLayer(result.tensor, clipped: result.clipped)
  }
}
