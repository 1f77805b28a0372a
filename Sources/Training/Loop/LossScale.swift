import Execution

/// What a loss is multiplied by before its gradients are computed, so that these stay within the range of float16: it rises as long as that goes
/// well, and falls when a gradient is not finite (dynamic loss scaling, Micikevicius et al. 2018; factors and interval as PyTorch has them).
struct LossScale: Equatable {
  private(set) var value: Float = 1
  /// Steps since it last changed.
  private(set) var steadySteps = 0
  private let isDynamic: Bool

  private static let start: Float = 65_536
  private static let growthInterval = 2000
  private static let highest: Float = 0x1p64

  init(for products: ProductPrecision) {
    isDynamic = products == .float16
    if isDynamic { value = Self.start }
  }

  /// Whether a gradient that is not finite may be the scale's own doing.
  var canFall: Bool { isDynamic && value > 1 }

  mutating func adapt(isFinite: Bool) {
    guard isDynamic else { return }
    steadySteps = isFinite ? steadySteps + 1 : 0
    if !isFinite { value = max(1, value / 2) }
    guard steadySteps == Self.growthInterval else { return }
    (value, steadySteps) = (min(value * 2, Self.highest), 0)
  }

  /// Takes up what was saved; false when it is none of the values that it can have.
  mutating func resume(exponent: Int, steadySteps: Int) -> Bool {
    guard (0...64).contains(exponent), (0..<Self.growthInterval).contains(steadySteps), isDynamic || (exponent == 0 && steadySteps == 0)
    else {
      return false
    }
    (value, self.steadySteps) = (Float(sign: .plus, exponent: exponent, significand: 1), steadySteps)
    return true
  }

  /// The scale is a power of two.
  var exponent: Int { Int(value.exponent) }
}
