import Foundation

/// The scaling of Llama 3.1: long wavelengths are divided by a factor, short ones kept, with a transition between. A file holds what each
/// frequency is divided by.
struct GGUFRotaryDivisors: Sendable, Hashable {
  var factor: Double
  var low: Double
  var high: Double
  var context: Double

  init(factor: Double, low: Double, high: Double, context: Double) {
    (self.factor, self.low, self.high, self.context) = (factor, low, high, context)
  }

  /// That of Llama 3.1.
  static let standard = Self(factor: 8, low: 1, high: 4, context: 8192)

  /// What each of `count` frequencies is divided by.
  func values(count: Int, base: Double) -> [Float] {
    Self.wavelengths(count: count, base: base).map { wavelength in
      if wavelength < context / high { return 1 }
      if wavelength > context / low { return Float(factor) }
      let smooth = (context / wavelength - low) / (high - low)
      return Float(1 / ((1 - smooth) / factor + smooth))
    }
  }

  /// The scaling that gives these values; nil when there is none. Context and both bounds may grow together without a change, so the lower bound
  /// is taken to be 1, as in every published model.
  init?(_ values: [Float], base: Double) {
    guard let largest = values.max(), values.allSatisfy({ $0.isFinite && $0 >= 1 }), largest > 1 else { return nil }
    let factor = largest.written
    let wavelengths = Self.wavelengths(count: values.count, base: base)
    var candidates = (3...24).map { Self(factor: factor, low: 1, high: 4, context: Double(1 << $0)) }
    // In the transition, the share of the frequency that is kept is a line over the inverse wavelength.
    var line: [(x: Double, y: Double)] = []
    for (value, wavelength) in zip(values, wavelengths) where value > 1 && value < largest {
      let kept = (1 / Double(value) - 1 / factor) / (1 - 1 / factor)
      line.append((1 / wavelength, kept))
    }
    if let first = line.first, let last = line.last, first.x > last.x {
      let slope = (first.y - last.y) / (first.x - last.x)
      let offset = first.y - slope * first.x
      if slope > 0, offset < 0 {
        let high = 1 - 1 / offset
        let context = slope * (high - 1)
        for digits in [1.0, 10, 100, 1000] {
          let rounded = (high * digits).rounded() / digits
          candidates.append(Self(factor: factor, low: 1, high: rounded, context: (slope * (rounded - 1)).rounded()))
        }
        candidates.append(Self(factor: factor, low: 1, high: high, context: context))
      }
    }
    let found = candidates.first { candidate in
      guard candidate.high > candidate.low, candidate.context > 0 else { return false }
      return zip(candidate.values(count: values.count, base: base), values).allSatisfy { abs($0 - $1) <= 1e-4 * $1 }
    }
    guard let found else { return nil }
    self = found
  }

  private static func wavelengths(count: Int, base: Double) -> [Double] {
    (0..<count).map { 2 * Double.pi / Double(Float(1 / pow(base, Double(2 * $0) / Double(2 * count)))) }
  }
}
