import Foundation

/// A mean with the standard error that clustering by window gives: predictions of one window depend on each other,
/// windows are nearly independent (Miller 2024, "Adding error bars to evals").
public struct ClusteredMean: Sendable, Hashable {
  public let mean: Double
  /// Nil with fewer than two clusters.
  public let standardError: Double?
  /// Clusters.
  public let count: Int

  /// - Parameter clusters: the mean of each cluster; all clusters are of one size.
  public init(clusters: [Double]) {
    let n = Double(clusters.count)
    let mean = clusters.isEmpty ? 0 : clusters.reduce(0, +) / n
    self.mean = mean
    count = clusters.count
    guard clusters.count > 1 else {
      standardError = nil
      return
    }
    let variance = clusters.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (n - 1)
    standardError = (variance / n).squareRoot()
  }

  /// The two-sided 95 % interval by Student's t.
  public var interval: ClosedRange<Double>? {
    guard let standardError, standardError.isFinite, mean.isFinite else { return nil }
    let reach = Self.studentQuantile975(degrees: count - 1) * standardError
    return mean - reach...mean + reach
  }

  /// The 97.5 % quantile of Student's t (Hill 1970, expansion around the normal quantile; exact values below 3 degrees).
  static func studentQuantile975(degrees: Int) -> Double {
    if degrees <= 1 { return 12.706204736 }
    if degrees == 2 { return 4.302652730 }
    let z = 1.959963984540054
    let n = Double(degrees)
    let g1 = (pow(z, 3) + z) / 4
    let g2 = (5 * pow(z, 5) + 16 * pow(z, 3) + 3 * z) / 96
    let g3 = (3 * pow(z, 7) + 19 * pow(z, 5) + 17 * pow(z, 3) - 15 * z) / 384
    let g4 = (79 * pow(z, 9) + 776 * pow(z, 7) + 1482 * pow(z, 5) - 1920 * pow(z, 3) - 945 * z) / 92160
    return z + g1 / n + g2 / (n * n) + g3 / pow(n, 3) + g4 / pow(n, 4)
  }
}

/// The value below which a share of a sorted sample lies, interpolated linearly between neighbours (the common definition, type 7).
public func quantile(_ share: Double, ofSorted values: [Double]) -> Double {
  guard let last = values.last else { return 0 }
  let place = share * Double(values.count - 1)
  let index = Int(place.rounded(.down))
  guard index + 1 < values.count else { return last }
  return values[index] + (place - Double(index)) * (values[index + 1] - values[index])
}
