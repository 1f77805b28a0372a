/// Whether the figures of several reports may be set against each other, and which of them.
///
/// One report among many that was measured otherwise does not spoil the others: the largest set that goes together is compared, and
/// the rest is named with the reason.
struct Comparability {
  /// The reports whose accuracy stands side by side, ascending; fewer than two when none do.
  let compared: [Int]
  /// The others with an accuracy or without, and what sets each apart.
  let apart: [(index: Int, reasons: [String])]
  /// Whether all reports start from the same source model, so that layers have the same weights to be held against.
  let sameSource: Bool

  /// Whether no report stands apart.
  var isComparable: Bool { apart.isEmpty }

  init(_ reports: [CompressionReport]) {
    sameSource = reports.dropFirst().allSatisfy { Self.haveSameSource($0, reports[0]) }
    var sets: [[Int]] = []
    for index in reports.indices where reports[index].accuracy != nil {
      let fitting = sets.firstIndex { $0.allSatisfy { Self.obstacles(reports[$0], reports[index]).isEmpty } }
      if let fitting { sets[fitting].append(index) } else { sets.append([index]) }
    }
    // The first of equal size: what was named first is what the others are held against.
    let largest = sets.reduce([]) { $1.count > $0.count ? $1 : $0 }
    let compared = largest.count > 1 || reports.count == 1 ? largest : []
    let anchor = largest.first
    self.compared = compared
    let others = reports.count < 2 ? [] : reports.indices.filter { !compared.contains($0) && !(compared.isEmpty && $0 == anchor) }
    apart = others.map { index in
      guard reports[index].accuracy != nil else { return (index, ["accuracy was not measured"]) }
      return (index, anchor.map { Self.obstacles(reports[$0], reports[index]) } ?? [])
    }
  }

  /// Why the accuracies of two reports may not be set against each other; empty when they may.
  static func obstacles(_ one: CompressionReport, _ other: CompressionReport) -> [String] {
    guard let first = one.accuracy, let second = other.accuracy else { return ["accuracy was not measured"] }
    var reasons: [String] = []
    // A hash decides; the name of the text only where a hash is missing.
    if let hash = one.inputs?.evalSHA256, let otherHash = other.inputs?.evalSHA256 {
      if hash != otherHash { reasons.append("the evaluation texts differ (by their SHA-256)") }
    } else if first.text != second.text {
      reasons.append("the evaluation texts differ (by their names)")
    }
    func differ(_ what: String, _ values: (Int?, Int?)) {
      guard values.0 != values.1 else { return }
      func word(_ value: Int?) -> String { value.map { NumberText.grouped($0) } ?? "unknown" }
      reasons.append("the \(what) differ (\(word(values.1)) and \(word(values.0)))")
    }
    differ("numbers of scored predictions", (first.tokens, second.tokens))
    differ("window lengths", (first.context, second.context))
    if first.compute != second.compute {
      let words = [second.compute, first.compute].map { TerminalText.elided($0 ?? "float32", to: 30) }
      reasons.append("products were computed in \(words[0]) and \(words[1])")
    }
    if let reason = references(one, other) { reasons.append(reason) }
    return reasons
  }

  /// Divergences need one reference, and it need not be the source: a distilled model is held against its teacher. The perplexity
  /// of the reference over one text tells it, to the rounding of kernels for different processors.
  private static func references(_ one: CompressionReport, _ other: CompressionReport) -> String? {
    if let first = one.accuracy?.reference?.perplexity, let second = other.accuracy?.reference?.perplexity {
      guard abs(first - second) > 1e-5 * max(abs(first), abs(second)) else { return nil }
      return "the references of the KL divergence differ (perplexity \(NumberText.perplexity(second)) and \(NumberText.perplexity(first)))"
    }
    if haveSameSource(one, other) { return nil }
    return "the source models differ, and with them the reference of the KL divergence"
  }

  static func haveSameSource(_ one: CompressionReport, _ other: CompressionReport) -> Bool {
    if let hash = one.inputs?.modelSHA256, let otherHash = other.inputs?.modelSHA256 { return hash == otherHash }
    return one.model.name == other.model.name
  }

  /// What the reader has to know, a sentence each; empty when everything may be compared.
  var notices: [String] {
    let sentences = apart.prefix(Self.noticeLimit).map { report in
      compared.isEmpty
        ? "Report \(report.index + 1) is not comparable with the others in accuracy: \(report.reasons.joined(separator: "; "))."
        : "Report \(report.index + 1) is left out wherever accuracies are compared: \(report.reasons.joined(separator: "; "))."
    }
    let rest = apart.count - sentences.count
    return sentences + (rest > 0 ? ["So are \(rest) further reports."] : [])
  }

  private static let noticeLimit = 8
}
