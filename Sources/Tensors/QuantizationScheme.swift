/// Over which weights one scale is shared.
public enum Granularity: Sendable, Hashable {
  /// One scale per output channel (row).
  case channel
  /// One scale per `size` consecutive weights along the input axis.
  case group(Int)

  /// How many weights share a scale in a row of `inputs` weights.
  public func groupSize(inputs: Int) -> Int {
    switch self {
    case .channel: inputs
    case .group(let size): size
    }
  }
}

/// How activations enter a product with quantized weights.
public enum ActivationQuantization: String, Sendable, Hashable, Codable, CaseIterable {
  /// They stay floating point.
  case none
  /// Symmetric int8, one scale per token, found at run time.
  case int8
  /// Symmetric int8, one scale per layer, found by calibration and stored.
  case int8Static = "int8-static"
}

/// How a weight matrix is represented: width, signedness, granularity, and what meets it at run time.
public struct QuantizationScheme: Sendable, Hashable {
  /// Bits per code, 2 to 8.
  public var bits: Int
  /// Whether zero is represented by the code 0 everywhere (no zero points are stored).
  public var symmetric: Bool
  public var granularity: Granularity
  public var activations: ActivationQuantization
  /// What codes stand for.
  public var levels: CodeLevels

  public init(
    bits: Int, symmetric: Bool = true, granularity: Granularity = .channel, activations: ActivationQuantization = .none,
    levels: CodeLevels = .even
  ) {
    self.bits = bits
    self.symmetric = symmetric
    self.granularity = granularity
    self.activations = activations
    self.levels = levels
  }

  /// Whether width, zero points and activations are what its levels take; always for evenly spaced ones.
  public var suitsLevels: Bool {
    guard let bits = levels.bits else { return true }
    // A zero point shifts integers and an integer product multiplies them: levels are neither.
    return self.bits == bits && symmetric && activations == .none
  }

  /// The smallest and largest code: −2^(bits−1) and 2^(bits−1)−1.
  public var codeRange: ClosedRange<Int> { -(1 << (bits - 1))...(1 << (bits - 1)) - 1 }

  /// Short name as the field writes it: `W4A16 g128`, `W8A8`, `W8A8 static`, `W4A16 g64 asymmetric`, `NF4 g64`.
  public var name: String {
    var text = levels.name ?? "W\(bits)A\(activations == .none ? 16 : 8)"
    if case .group(let size) = granularity { text += " g\(size)" }
    if activations == .int8Static { text += " static" }
    return symmetric ? text : text + " asymmetric"
  }
}
