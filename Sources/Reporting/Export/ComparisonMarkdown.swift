/// Reports as tables of Markdown, for an issue or a page: the figures, what tells reports from the first, and what may not be compared.
public struct ComparisonMarkdown: Sendable {
  private let comparison: ReportComparison

  /// - Parameter labels: what to call each report; by default its recipe, with the model's name where models differ.
  public init(_ reports: [CompressionReport], labels: [String]? = nil) { comparison = ReportComparison(reports, labels: labels) }

  /// Hosts render no more than so much of one table.
  private static let rowLimit = 500

  public var text: String {
    let shown = Array(comparison.reports.indices.prefix(Self.rowLimit))
    var text = Markdown.table(
      ["report", "size", "ratio", "bits per weight", "perplexity", "change", "mean KL", "99 % KL", "same top token"],
      shown.map { index in
        let cells = ComparisonFigures(comparison.reports[index])
        return [
          name(index), cells.size, cells.ratio, cells.bits, cells.perplexity, cells.change, cells.meanKL, cells.tailKL, cells.agreement,
        ]
      })
    if let first = comparison.comparability.compared.first {
      let measurement = ReportSummary(report: comparison.reports[first]).measurement.map { Markdown.text($0, limit: 1000) + " " } ?? ""
      let front = comparison.front.map { " " + Markdown.text($0) } ?? ""
      text += "\n\(measurement)KL divergence is in nats per token.\(front)\n"
    }
    text += differences
    for notice in comparison.comparability.notices { text += "\n" + Markdown.quote("† " + notice) }
    return text
  }

  private func name(_ index: Int) -> String { comparison.name(index) }

  private var differences: String {
    guard let first = comparison.comparability.compared.first else { return "" }
    let rows = comparison.tests.pairs(with: first).flatMap { pair in
      DifferenceRow.rows(of: pair).map { row in
        [name(pair.report), row.measure, row.difference, row.interval, row.probability, row.verdict.rawValue]
      }
    }
    guard !rows.isEmpty else { return "" }
    let titles = ["against \(name(first))", "measure", "difference", "95 % interval", "p", "verdict"]
    let table = Markdown.table(titles, rows, text: ["measure", "verdict"])
    return "\n" + table + "\n\(Markdown.text(DifferenceRow.explanation(comparison.tests), limit: 1000))\n"
  }
}
