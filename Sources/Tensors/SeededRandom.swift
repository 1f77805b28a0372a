/// A counter-based generator: the n-th number of a seed is a pure function of both (SplitMix64, Steele et al. 2014), so that work may be
/// cut over threads and processes without changing what is drawn.
public struct SeededRandom: RandomNumberGenerator, Sendable {
  private let seed: UInt64
  private var counter: UInt64 = 0

  public init(seed: UInt64) { self.seed = seed }

  /// The number at that place of the stream.
  public static func value(seed: UInt64, index: UInt64) -> UInt64 {
    var z = seed &+ (index &+ 1) &* 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  public mutating func next() -> UInt64 {
    defer { counter &+= 1 }
    return Self.value(seed: seed, index: counter)
  }

  /// A number in [0, 1) with 53 random bits.
  public mutating func nextUnit() -> Double { Double(next() >> 11) * 0x1p-53 }
}
