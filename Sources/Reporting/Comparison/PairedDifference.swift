import Statistics

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
    let difference = ClusteredMean(clusters: zip(values, baseline).map { $0 - $1 })
    guard let error = difference.standardError, let interval = difference.interval else { return nil }
    mean = difference.mean
    self.interval = .init(lower: interval.lowerBound, upper: interval.upperBound)
    windows = difference.count
    probability = mean == 0 ? 1 : error == 0 ? 0 : StudentDistribution.tails(mean / error, degrees: windows - 1)
  }

  /// Whether no window tells the two apart at all.
  var isIdentical: Bool { mean == 0 && interval.lower == 0 && interval.upper == 0 }
}
