import Foundation

/// One difference between two reports in words, for every place that shows it.
struct DifferenceRow {
  let measure: String
  let difference: String
  let interval: String
  let probability: String
  let verdict: PairedTests.Verdict

  /// Perplexity as a change, divergence in nats.
  static func rows(of pair: PairedTests.Pair) -> [DifferenceRow] {
    [
      pair.perplexity.map { DifferenceRow("perplexity", $0) { NumberText.percentChange(exp($0) - 1) } },
      pair.divergence.map { DifferenceRow("mean KL", $0, signed) },
    ].compactMap { $0 }
  }

  private init(_ measure: String, _ outcome: PairedTests.Outcome, _ text: (Double) -> String) {
    self.measure = measure
    let interval = outcome.difference.interval
    difference = text(outcome.difference.mean)
    self.interval = "\(text(interval.lower)) to \(text(interval.upper))"
    probability = Self.probability(outcome.adjusted)
    verdict = outcome.verdict
  }

  static func signed(_ value: Double) -> String { (value > 0 ? "+" : "") + NumberText.nats(value) }

  /// `< 0.0001`, `0.031`, `0.42`
  static func probability(_ value: Double) -> String {
    value < 0.0001 ? "< 0.0001" : value < 0.1 ? NumberText.significant(value, 2) : NumberText.fixed(value, 2)
  }

  /// What the figures rest on.
  static func explanation(_ tests: PairedTests) -> String {
    let pairs = tests.pairs.count
    var words = "Paired over \(NumberText.grouped(tests.windows)) windows of the same text, by Student's t"
    words += pairs > 1 ? "; p is corrected for \(NumberText.grouped(pairs)) pairs (Holm, each measure by itself), intervals are not." : "."
    if tests.windows < 10 { words += " So few windows say little: give a longer text." }
    return words + " Unclear is not the same as equal."
  }
}
