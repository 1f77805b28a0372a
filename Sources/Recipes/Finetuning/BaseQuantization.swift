import Compression

/// What a model is quantized to before adapters are trained beside it (QLoRA, Dettmers et al. 2023).
public struct BaseQuantization: Codable, Sendable, Hashable {
  public enum Form: String, Codable, Sendable, Hashable, CaseIterable {
    /// Evenly spaced codes on the scales with the smallest squared error.
    case integer
    /// Codes of 4 bits at the quantiles of a normal distribution, as bitsandbytes has them.
    case normalFloat = "nf4"
  }

  public var form: Form
  /// 8, 6, 5, 4, 3 or 2; 4 for NF4.
  public var bits: Int
  /// Weights that share a scale; 0 for one scale per output channel.
  public var groupSize: Int

  public init(bits: Int, groupSize: Int? = nil) {
    form = .integer
    self.bits = bits
    self.groupSize = groupSize ?? (bits == 8 ? 0 : 64)
  }

  public static func normalFloat(groupSize: Int? = nil) -> BaseQuantization {
    var base = BaseQuantization(bits: 4, groupSize: groupSize)
    base.form = .normalFloat
    return base
  }

  /// What does it.
  public var pass: any LayerwiseQuantization {
    switch form {
    case .integer: MinimumSquaredError(bits: bits, groupSize: groupSize)
    case .normalFloat: NormalFloat(groupSize: groupSize)
    }
  }
}
