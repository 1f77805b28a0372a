/// The mean difference of two series measured on the same windows, with its 95 % interval.
///
/// Windows are the independent units: tokens within one share their context. The interval is Student's, from the standard
/// error of the per-window differences (Miller, "Adding Error Bars to Evals", 2411.00640, section 3).
struct PairedDifference: Equatable {
  let mean: Double
  let interval: CompressionReport.Interval
  let windows: Int
  /// How likely a mean at least so far from zero is when there is no difference; 0 where all windows differ by the same.
  let probability: Double

  /// Nil unless both series have the same length of at least two and everything is finite.
  init?(_ values: [Double]?, minus baseline: [Double]?) {
    guard let values, let baseline, values.count == baseline.count, values.count >= 2 else { return nil }
    let differences = zip(values, baseline).map { $0 - $1 }
    let count = Double(differences.count)
    let mean = differences.reduce(0, +) / count
    let variance = differences.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / (count - 1)
    let error = (variance / count).squareRoot()
    let half = StudentDistribution.quantile(degrees: differences.count - 1) * error
    guard mean.isFinite, half.isFinite else { return nil }
    self.mean = mean
    interval = .init(lower: mean - half, upper: mean + half)
    windows = differences.count
    probability = mean == 0 ? 1 : error == 0 ? 0 : StudentDistribution.tails(mean / error, degrees: differences.count - 1)
  }

  /// Whether the interval leaves out zero.
  var differs: Bool { interval.lower > 0 || interval.upper < 0 }

  /// Whether no window tells the two apart at all.
  var isIdentical: Bool { mean == 0 && interval.lower == 0 && interval.upper == 0 }
}
