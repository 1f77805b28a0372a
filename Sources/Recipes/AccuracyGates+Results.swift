import Reporting

extension AccuracyGates {
  /// What was measured held against the limits. A gate without a figure is a gate that was missed.
  func results(_ accuracy: CompressionReport.Accuracy?) -> [CompressionReport.Gate] {
    func gate(_ name: String, _ limit: Double?, _ value: Double?) -> CompressionReport.Gate? {
      limit.map { .init(name: name, limit: $0, value: value, passed: (value ?? .infinity) <= $0) }
    }
    return [
      gate("perplexity increase", maximumPerplexityIncrease, accuracy?.perplexityRatio.map { $0 - 1 }),
      gate("mean KL divergence", maximumKLDivergence, accuracy?.klDivergence?.mean),
    ].compactMap { $0 }
  }
}
