import Foundation

/// The mean difference of two series measured on the same windows, with its 95 % interval.
///
/// Windows are the independent units: tokens within one share their context. The interval is Student's, from the standard
/// error of the per-window differences (Miller, "Adding Error Bars to Evals", 2411.00640, section 3).
struct PairedDifference: Equatable {
  let mean: Double
  let interval: CompressionReport.Interval
  let windows: Int

  /// Nil unless both series have the same length of at least two and everything is finite.
  init?(_ values: [Double]?, minus baseline: [Double]?) {
    guard let values, let baseline, values.count == baseline.count, values.count >= 2 else { return nil }
    let differences = zip(values, baseline).map { $0 - $1 }
    let count = Double(differences.count)
    let mean = differences.reduce(0, +) / count
    let variance = differences.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)
    let half = Self.quantile(degrees: differences.count - 1) * (variance / count).squareRoot()
    guard mean.isFinite, half.isFinite else { return nil }
    self.mean = mean
    interval = .init(lower: mean - half, upper: mean + half)
    windows = differences.count
  }

  /// Whether the interval leaves out zero.
  var differs: Bool { interval.lower > 0 || interval.upper < 0 }

  /// The 97.5 % quantile of Student's t: tabled where the expansion around the normal quantile is too coarse (Abramowitz and
  /// Stegun 26.7.5), below 10^-4 off elsewhere.
  static func quantile(degrees: Int) -> Double {
    let tabled = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646]
    if degrees <= tabled.count { return tabled[max(1, degrees) - 1] }
    let z = 1.959964
    let n = Double(degrees)
    let first = (pow(z, 3) + z) / 4
    let second = (5 * pow(z, 5) + 16 * pow(z, 3) + 3 * z) / 96
    let third = (3 * pow(z, 7) + 19 * pow(z, 5) + 17 * pow(z, 3) - 15 * z) / 384
    let fourth = (79 * pow(z, 9) + 776 * pow(z, 7) + 1482 * pow(z, 5) - 1920 * pow(z, 3) - 945 * z) / 92160
    return z + first / n + second / (n * n) + third / pow(n, 3) + fourth / pow(n, 4)
  }
}
