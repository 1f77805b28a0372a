import Foundation

/// Student's t with a whole number of degrees of freedom.
package enum StudentDistribution {
  /// The probability of a value further from zero than `t`, on either side (Abramowitz and Stegun 26.7.3 and 26.7.4).
  package static func tails(_ t: Double, degrees: Int) -> Double {
    guard t.isFinite else { return t.isNaN ? 1 : 0 }
    let degrees = max(1, degrees)
    let angle = atan(abs(t) / Double(degrees).squareRoot())
    let (sine, cosine) = (sin(angle), cos(angle))
    let isOdd = !degrees.isMultiple(of: 2)
    var term = isOdd ? cosine : 1
    var sum = 0.0
    // The first factors of both series: cos, 2/3 cos³ … and 1, 1/2 cos² …
    var index = isOdd ? 1 : 0
    while index <= degrees - 2 {
      sum += term
      term *= cosine * cosine * Double(index + 1) / Double(index + 2)
      // What is left is below what a double can add.
      if term < 1e-18 { break }
      index += 2
    }
    let inside = isOdd ? 2 / Double.pi * (angle + sine * sum) : sine * sum
    return min(1, max(0, 1 - inside))
  }

  /// The 97.5 % quantile: tabled where the expansion around the normal quantile is too coarse (Abramowitz and Stegun 26.7.5), below
  /// 10^-4 off elsewhere.
  package static func quantile(degrees: Int) -> Double {
    let tabled = [12.706204736, 4.302652730, 3.182446305, 2.776445105, 2.570581836, 2.446911851, 2.364624252]
    if degrees <= tabled.count { return tabled[max(1, degrees) - 1] }
    let z = 1.959963984540054
    let n = Double(degrees)
    let first = (pow(z, 3) + z) / 4
    let second = (5 * pow(z, 5) + 16 * pow(z, 3) + 3 * z) / 96
    let third = (3 * pow(z, 7) + 19 * pow(z, 5) + 17 * pow(z, 3) - 15 * z) / 384
    let fourth = (79 * pow(z, 9) + 776 * pow(z, 7) + 1482 * pow(z, 5) - 1920 * pow(z, 3) - 945 * z) / 92160
    return z + first / n + second / (n * n) + third / pow(n, 3) + fourth / pow(n, 4)
  }
}
