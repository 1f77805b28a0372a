import Foundation

/// Rotary positions: which features turn, how fast, and how the context was extended.
public struct RotaryEmbedding: Sendable, Hashable {
  /// Heads in a row, `headDimension` features apart.
  public var heads: Int
  public var headDimension: Int
  /// The features of each head that turn; even.
  public var rotaryDimension: Int
  /// Features of each head in front of those that turn.
  public var offset: Int
  /// Neighbours turn together (DeepSeek's rotary slice) instead of features half a head apart (Llama, Qwen).
  public var interleaved: Bool
  public var base: Double
  public var scaling: RotaryScaling

  /// - Parameter rotaryDimension: nil for the whole head.
  public init(
    heads: Int, headDimension: Int, rotaryDimension: Int? = nil, offset: Int = 0, interleaved: Bool = false, base: Double = 10_000,
    scaling: RotaryScaling = .none
  ) {
    self.heads = heads
    self.headDimension = headDimension
    self.rotaryDimension = rotaryDimension ?? headDimension
    self.offset = offset
    self.interleaved = interleaved
    self.base = base
    self.scaling = scaling
  }
}

/// How frequencies are changed so that a model reaches past the context it was trained on.
public enum RotaryScaling: Sendable, Hashable {
  case none
  /// All frequencies divided by the factor (position interpolation, Chen et al. 2023).
  case linear(factor: Double)
  /// Llama 3.1: long wavelengths divided, short ones kept, a linear transition between.
  case llama3(factor: Double, lowFrequency: Double, highFrequency: Double, originalContext: Double)
  /// YaRN (Peng et al. 2023).
  case yarn(Yarn)

  public struct Yarn: Sendable, Hashable {
    public var factor: Double
    public var originalContext: Double
    public var betaFast = 32.0
    public var betaSlow = 1.0
    /// Multiplies cosines and sines; derived from the factor when nil.
    public var attentionFactor: Double?
    public var mscale: Double?
    public var mscaleAllDimensions: Double?
    /// Whether the bounds of the ramp are rounded to whole dimensions.
    public var truncate = true

    public init(factor: Double, originalContext: Double) {
      self.factor = factor
      self.originalContext = originalContext
    }

    /// `0.1·m·ln(factor) + 1`, or 1 when the factor does not extend.
    public static func magnitude(factor: Double, _ mscale: Double = 1) -> Double {
      factor <= 1 ? 1 : 0.1 * mscale * Foundation.log(factor) + 1
    }

    var magnitude: Double {
      if let attentionFactor { return attentionFactor }
      if let mscale, let mscaleAllDimensions, mscale != 0, mscaleAllDimensions != 0 {
        return Self.magnitude(factor: factor, mscale) / Self.magnitude(factor: factor, mscaleAllDimensions)
      }
      return Self.magnitude(factor: factor)
    }
  }
}

extension RotaryEmbedding {
  /// Angles per position of each turning pair, `rotaryDimension / 2` of them, in float32 as the reference implementations hold them.
  public func inverseFrequencies() -> [Float] {
    let half = rotaryDimension / 2
    let plain = (0..<half).map { Float(1 / Foundation.pow(base, Double(2 * $0) / Double(rotaryDimension))) }
    switch scaling {
    case .none: return plain
    case .linear(let factor): return plain.map { $0 / Float(factor) }
    case .llama3(let factor, let low, let high, let context):
      return plain.map { frequency in
        let wavelength = 2 * Double.pi / Double(frequency)
        if wavelength < context / high { return frequency }
        if wavelength > context / low { return frequency / Float(factor) }
        let smooth = (context / wavelength - low) / (high - low)
        return Float((1 - smooth) * Double(frequency) / factor + smooth * Double(frequency))
      }
    case .yarn(let yarn):
      func dimension(ofRotations rotations: Double) -> Double {
        Double(rotaryDimension) * Foundation.log(yarn.originalContext / (rotations * 2 * Double.pi)) / (2 * Foundation.log(base))
      }
      var low = dimension(ofRotations: yarn.betaFast)
      var high = dimension(ofRotations: yarn.betaSlow)
      if yarn.truncate { (low, high) = (low.rounded(.down), high.rounded(.up)) }
      low = max(low, 0)
      high = min(high, Double(rotaryDimension - 1))
      if low == high { high += 0.001 }
      return plain.enumerated().map { index, frequency in
        let interpolated = min(max((Double(index) - low) / (high - low), 0), 1)
        return Float(Double(frequency) / yarn.factor * interpolated + Double(frequency) * (1 - interpolated))
      }
    }
  }

  /// What cosines and sines are multiplied by.
  public var magnitude: Float {
    if case .yarn(let yarn) = scaling { return Float(yarn.magnitude) }
    return 1
  }

  /// Cosines and sines for these positions, each `[positions, rotaryDimension / 2]`.
  public func tables(positions: some Collection<Int>) -> (cosines: [Float], sines: [Float]) {
    let frequencies = inverseFrequencies()
    var cosines: [Float] = []
    var sines: [Float] = []
    cosines.reserveCapacity(positions.count * frequencies.count)
    sines.reserveCapacity(positions.count * frequencies.count)
    for position in positions {
      for frequency in frequencies {
        // The angle is rounded to float32, as the models saw it in training.
        let angle = Double(Float(position) * frequency)
        cosines.append(Float(Foundation.cos(angle)) * magnitude)
        sines.append(Float(Foundation.sin(angle)) * magnitude)
      }
    }
    return (cosines, sines)
  }
}
