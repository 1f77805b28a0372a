import CKernels
import Diagnostics
import Execution
import ModelGraph
import Tensors

/// Half-quadratic quantization (Badri & Shaji 2023): scales that make a p-norm of the weights' errors small, p < 1, so that a few large
/// errors at outliers count less than many middling ones. Needs no data.
///
/// In turn, the part of each error that shrinkage (the proximal operator of the p-norm) takes for an outlier's is set aside, and the grid
/// is fitted to the rest, with a penalty β that grows. What differs from the original:
/// - Zero points are integers, for compressed-tensors stores them so; the original keeps real ones, and solves for nothing else. Here
///   the scale is solved for, at the zero point of the start and at its neighbours.
/// - Symmetric grids, which have only a scale, are solved for as well.
/// - The start is the best grid of the search for the smallest squared error, not the extremes.
/// - Errors are measured in steps of the grid, so that β means the same for weights of any magnitude.
/// - Every scale is judged as the value it will be stored as, and what is kept is the best seen: never above the start's norm.
public struct HalfQuadratic: LayerwiseQuantization, TargetedPass {
  public static let identifier = "hqq"

  /// Which layers become what.
  public var targets = QuantizationTargets()
  /// The exponent p, above 0 and at most 1.
  public var norm: Float = 0.7
  /// The penalty of the first iteration.
  public var beta: Float = 10
  /// By what the penalty grows after each iteration; at least 1.
  public var betaGrowth: Float = 1.01
  /// The most iterations of a group; it ends earlier when the norm no longer falls.
  public var iterations = 20

  public init() {}

  /// A symmetric or asymmetric pass over all linears.
  public init(bits: Int, method: QuantizationTargets.Method = .symmetric, groupSize: Int = 0) {
    targets.bits = bits
    targets.method = method
    targets.groupSize = groupSize
  }

  private enum CodingKeys: String, CodingKey {
    case norm, beta, iterations
    case betaGrowth = "beta-growth"
  }

  // The targets' options stand beside the pass's own.
  public init(from decoder: any Decoder) throws {
    targets = try QuantizationTargets(from: decoder)
    let container = try decoder.container(keyedBy: CodingKeys.self)
    norm = try container.decode(Float.self, forKey: .norm)
    beta = try container.decode(Float.self, forKey: .beta)
    betaGrowth = try container.decode(Float.self, forKey: .betaGrowth)
    iterations = try container.decode(Int.self, forKey: .iterations)
  }

  public func encode(to encoder: any Encoder) throws {
    try targets.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(norm, forKey: .norm)
    try container.encode(beta, forKey: .beta)
    try container.encode(betaGrowth, forKey: .betaGrowth)
    try container.encode(iterations, forKey: .iterations)
  }

  public func validate(for graph: ModelGraph) throws(CompressionError) {
    try targets.requireGrids(for: graph)
    for (option, holds, range) in [
      ("norm", norm > 0 && norm <= 1, "above 0 and at most 1"),
      ("beta", beta > 0 && beta <= 1e6, "above 0 and at most 1e6"),
      ("beta-growth", betaGrowth >= 1 && betaGrowth <= 10, "from 1 to 10"),
      ("iterations", (1...1000).contains(iterations), "from 1 to 1000"),
    ] where !holds {
      throw CompressionError("\(Self.identifier): \(option)", "is out of range", remedy: "use a value \(range)", kind: .usage)
    }
  }

  public func quantize(
    _ weight: Tensor, named name: String, as scheme: QuantizationScheme, scaleType: DataType, in context: PassContext
  ) throws(CompressionError) -> QuantizedLayer {
    let rows = WeightRows.tensor(weight)
    let result = try table(for: rows, named: name, scheme: scheme, scaleType: scaleType, pool: context.pool)
      .quantize(rows, named: name, pool: context.pool)
    return QuantizedLayer(result.tensor, clipped: result.clipped)
  }

  /// The grids of a weight, solved for from the search's.
  func table(
    for weight: WeightRows, named name: String, scheme: QuantizationScheme, scaleType: DataType? = nil, pool: ThreadPool
  ) throws(CompressionError) -> GridTable {
    let type = scaleType ?? weight.scaleType
    let solver = dso_half_quadratic(
      exponent: norm, beta: beta, growth: betaGrowth, iterations: Int32(clamping: iterations))
    let (bits, symmetric) = (Int32(scheme.bits), Int32(scheme.symmetric ? 1 : 0))
    let bytes = Int(dso_grid_scratch_bytes(Int64(scheme.granularity.groupSize(inputs: weight.columns))))
    return try GridTable(
      weight, named: name, scheme: scheme, scaleType: type, pool: pool, scratchBytes: bytes
    ) { group, scratch in
      let (values, count) = (group.row + group.start, Int64(group.count))
      let start = dso_search_grid(values, nil, count, bits, symmetric, type.kernelScaleType, scratch)
      let grid = dso_half_quadratic_grid(values, count, bits, symmetric, type.kernelScaleType, solver, start, scratch)
      return (grid.scale, Int(grid.zero_point))
    }
  }
}
