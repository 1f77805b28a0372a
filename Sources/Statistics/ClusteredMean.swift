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
    let reach = StudentDistribution.quantile(degrees: count - 1) * standardError
    return mean - reach...mean + reach
  }
}
