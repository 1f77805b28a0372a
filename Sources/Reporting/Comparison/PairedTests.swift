/// Every two reports against each other, window by window, with what many tests at once do to chance taken into account.
struct PairedTests {
  struct Pair {
    /// The report that is held against `baseline`, both by their place among all.
    let report: Int
    let baseline: Int
    var perplexity: Outcome?
    var divergence: Outcome?
  }

  struct Outcome {
    let difference: PairedDifference
    /// The probability after Holm's correction over all pairs (Holm 1979), of perplexity and of divergence each by itself: below 0.05, no more
    /// than one set of tests of either in twenty has any such figure by chance.
    var adjusted: Double

    var verdict: Verdict {
      difference.isIdentical ? .identical : adjusted >= 0.05 ? .unclear : difference.mean > 0 ? .worse : .better
    }
  }

  enum Verdict: String {
    case better, worse, unclear, identical
  }

  /// Pairs with figures by window only.
  private(set) var pairs: [Pair] = []
  /// Whether there are so many reports that only those with the first were tested.
  let isAgainstFirst: Bool
  /// Windows that the tests rest on.
  let windows: Int

  private static let everyPairLimit = 12
  private static let reportLimit = 200

  init(_ reports: [CompressionReport], _ compared: [Int]) {
    let shown = compared.prefix(Self.reportLimit)
    isAgainstFirst = shown.count > Self.everyPairLimit
    for (place, baseline) in shown.enumerated() where place == 0 || !isAgainstFirst {
      for report in shown.dropFirst(place + 1) {
        let (values, reference) = (reports[report].accuracy?.windows, reports[baseline].accuracy?.windows)
        var pair = Pair(report: report, baseline: baseline)
        pair.perplexity = PairedDifference(values?.negativeLogLikelihood, minus: reference?.negativeLogLikelihood)
          .map { .init(difference: $0, adjusted: $0.probability) }
        pair.divergence = PairedDifference(values?.klDivergence, minus: reference?.klDivergence)
          .map { .init(difference: $0, adjusted: $0.probability) }
        if pair.perplexity != nil || pair.divergence != nil { pairs.append(pair) }
      }
    }
    windows = pairs.lazy.compactMap { ($0.divergence ?? $0.perplexity)?.difference.windows }.first ?? 0
    correct(\.perplexity)
    correct(\.divergence)
  }

  private mutating func correct(_ outcome: WritableKeyPath<Pair, Outcome?>) {
    let tested = pairs.indices.filter { pairs[$0][keyPath: outcome] != nil }
    let corrected = Self.holm(tested.map { pairs[$0][keyPath: outcome]?.difference.probability ?? 1 })
    for (index, value) in zip(tested, corrected) { pairs[index][keyPath: outcome]?.adjusted = value }
  }

  /// The probabilities after Holm's correction, in the order given.
  static func holm(_ probabilities: [Double]) -> [Double] {
    var corrected = probabilities
    var least = 0.0
    for (rank, index) in probabilities.indices.sorted(by: { probabilities[$0] < probabilities[$1] }).enumerated() {
      least = max(least, min(1, probabilities[index] * Double(probabilities.count - rank)))
      corrected[index] = least
    }
    return corrected
  }

  /// The pairs with the report that was named first.
  func pairs(with baseline: Int) -> [Pair] { pairs.filter { $0.baseline == baseline } }

  subscript(report: Int, baseline: Int) -> Pair? { pairs.first { $0.report == report && $0.baseline == baseline } }
}
