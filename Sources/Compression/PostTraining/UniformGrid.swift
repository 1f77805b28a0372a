import Tensors

/// How the scale of a symmetric group follows from its weights.
public enum ScaleRule: String, Codable, Sendable, Hashable, CaseIterable {
  /// The weight of largest magnitude takes the code −2^(bits−1), whatever its sign: the scale carries the sign, and the one code that the
  /// range has more on its negative side is used (llama.cpp's rule).
  case signedAbsmax = "signed-absmax"
  /// absmax / (2^bits − 1) · 2: the range is treated as if it were symmetric (compressed-tensors' rule).
  case halfRange = "half-range"
  /// absmax / (2^(bits−1) − 1): the code −2^(bits−1) stays unused.
  case restricted
}

/// Scale and zero point of a group, the scale rounded to the type it will be stored in, so that codes are found for the value that runs.
struct GroupGrid {
  var scale: Float
  var zeroPoint: Int

  /// - Parameters:
  ///   - minimum, maximum: the group's extremes.
  ///   - scaleType: float32, float16 or bfloat16.
  init(minimum: Float, maximum: Float, scheme: QuantizationScheme, rule: ScaleRule, scaleType: DataType) {
    let lowest = scheme.codeRange.lowerBound
    zeroPoint = 0
    if scheme.symmetric {
      let peak = max(abs(minimum), abs(maximum))
      switch rule {
      case .signedAbsmax: scale = (abs(minimum) > abs(maximum) ? minimum : maximum) / Float(lowest)
      case .halfRange: scale = peak / (Float((1 << scheme.bits) - 1) / 2)
      case .restricted: scale = peak / Float(-lowest - 1)
      }
      scale = scaleType.roundingScale(scale)
    } else {
      // Zero must have a code of its own.
      let (low, high) = (min(minimum, 0), max(maximum, 0))
      // The width of the range may overflow where its bounds do not.
      scale = scaleType.roundingScale(Float((Double(high) - Double(low)) / Double((1 << scheme.bits) - 1)))
      if scale != 0 {
        let point = (-low / scale).rounded(.toNearestOrEven) + Float(lowest)
        zeroPoint = Int(min(max(point, Float(lowest)), Float(scheme.codeRange.upperBound)))
      }
    }
    // A group of zeros, or one too small for the scale's type: any scale represents it by the code of zero.
    if scale == 0 { scale = 1 }
  }
}

extension DataType {
  /// The nearest value (ties to even) that the type holds; float32 for the others.
  func rounding(_ value: Float) -> Float {
    switch self {
    case .bfloat16:
      guard value.isFinite else { return value }
      let bits = value.bitPattern
      return Float(bitPattern: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) & 0xFFFF_0000)
    case .float16: return Float(Float16(value))
    default: return value
    }
  }

  /// The nearest finite value: under an infinite scale even the code of zero would be no number. Weights beyond what the largest scale reaches
  /// are clamped.
  func roundingScale(_ scale: Float) -> Float {
    let most: Float
    switch self {
    case .bfloat16: most = Float(bitPattern: 0x7F7F_0000)
    case .float16: most = 65504
    default: most = .greatestFiniteMagnitude
    }
    guard !scale.isNaN else { return scale }
    return rounding(min(max(scale, -most), most))
  }
}
