/// What the bits of a model's layers are chosen for.
public enum BitBudget: Sendable, Hashable {
  /// The least KL divergence at this many bits per quantized weight, codes, scales and zero points counted.
  case bitsPerWeight(Double)
  /// The smallest size at which the mean KL divergence stays within this many nats per token.
  case klDivergence(Double)

  /// What flags and reports call it.
  var name: String {
    switch self {
    case .bitsPerWeight: "target-bpw"
    case .klDivergence: "max-kl"
    }
  }

  var limit: Double {
    switch self {
    case .bitsPerWeight(let limit), .klDivergence(let limit): limit
    }
  }
}
