/// What the codes of a quantized weight stand for.
public enum CodeLevels: String, Sendable, Hashable, Codable, CaseIterable {
  /// Evenly spaced values: the code itself, less the zero point.
  case even
  /// Four-bit NormalFloat (Dettmers et al. 2023, QLoRA): quantiles of a normal distribution, scaled to −1…1, with a zero among them.
  case normalFloat4 = "nf4"

  /// The values of the stored codes in order, times the scale the weights; nil for evenly spaced ones.
  public var values: [Float]? {
    switch self {
    case .even: nil
    case .normalFloat4: Self.normalFloat4Values
    }
  }

  /// The width that codes must have; nil for any.
  public var bits: Int? {
    switch self {
    case .even: nil
    case .normalFloat4: 4
    }
  }

  /// As the field writes it; nil for evenly spaced levels, which schemes are named by their width for.
  public var name: String? {
    switch self {
    case .even: nil
    case .normalFloat4: "NF4"
    }
  }

  /// The values where kernels read them: there for as long as the process lives.
  package var kernelTable: UnsafePointer<Float>? {
    switch self {
    case .even: nil
    case .normalFloat4: Self.normalFloat4Table
    }
  }

  /// The float32 values that the paper's appendix lists, and that bitsandbytes reads.
  private static let normalFloat4Values: [Float] = [
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
  ]

  // Written once, before the first reader has it.
  private nonisolated(unsafe) static let normalFloat4Table: UnsafePointer<Float> = {
    let table = UnsafeMutablePointer<Float>.allocate(capacity: normalFloat4Values.count)
    table.initialize(from: normalFloat4Values, count: normalFloat4Values.count)
    return UnsafePointer(table)
  }()
}
