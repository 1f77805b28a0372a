/// Several reports on one self-contained page: table, Pareto plot, KL curves, paired tests and a heat map by layer.
///
/// Accuracy is drawn side by side only when the reports scored the same predictions of the same text; otherwise the page says
/// what differs and keeps to the table.
public enum HTMLComparison {
  /// - Parameter labels: what to call each report; by default its recipe, with the model's name where models differ.
  public static func render(_ reports: [CompressionReport], labels: [String]? = nil) -> String {
    let page = ComparisonPage(reports: reports, labels: ComparisonLabels.resolved(labels, for: reports))
    return HTMLPage(title: "Comparison of compression reports", header: page.header, body: page.body, footer: page.footer).html
  }
}

/// The parts of the page in reading order.
struct ComparisonPage {
  let reports: [CompressionReport]
  let labels: [String]
  let comparability: Comparability

  init(reports: [CompressionReport], labels: [String]) {
    self.reports = reports
    self.labels = labels
    comparability = Comparability(reports)
  }

  /// The colour of a report; after the last they start again, its number stays its own.
  func series(_ index: Int) -> Int { index % Palette.light.series.count + 1 }

  var header: String {
    let names = Set(reports.map(\.model.name))
    let title = names.count == 1 ? names.first ?? "" : "\(names.count) models"
    let count = reports.count == 1 ? "1 report" : "\(reports.count) reports"
    return "<p class=\"kind\">Comparison of compression reports</p>\n<h1>\(HTML.name(title))</h1>\n<p class=\"sub\">\(count)</p>\n"
  }

  var body: String { notice + lead + table + pareto + curves + paired + heatMap }

  var footer: String {
    let tools = Set(reports.map { "\($0.tool.name) \($0.tool.version)" }).sorted().prefix(8)
    return "<p>Reports written by \(HTML.name(tools.joined(separator: ", "), limit: 300)). What is not shown was not measured.</p>\n"
  }

  private var notice: String {
    guard let notice = comparability.notice else { return "" }
    return "<section class=\"note\" aria-labelledby=\"notice\"><h2 id=\"notice\">Read this first</h2>"
      + HTML.paragraph(notice) + "</section>\n"
  }

  /// The two ends of the choice, in words.
  private var lead: String {
    var parts: [String] = []
    let sizes = reports.indices.compactMap { index in reports[index].size?.outputBytes.map { (index, $0) } }
    if let smallest = sizes.min(by: { $0.1 < $1.1 }), sizes.count > 1 {
      parts.append("smallest: \(name(smallest.0)) with \(NumberText.bytes(smallest.1))")
    }
    let divergences = reports.indices.compactMap { index in reports[index].accuracy?.klDivergence?.mean.map { (index, $0) } }
    if comparability.isComparable, let closest = divergences.min(by: { $0.1 < $1.1 }), divergences.count > 1 {
      parts.append("closest to the reference: \(name(closest.0)) with a mean KL divergence of \(NumberText.nats(closest.1)) nats")
    }
    guard let first = parts.first else { return "" }
    let text = ([first.prefix(1).uppercased() + first.dropFirst()] + parts.dropFirst()).joined(separator: "; ") + "."
    return HTML.paragraph(HTML.typographic(text), class: "lead")
  }

  /// `#2 (gptq 4-bit g128)`
  func name(_ index: Int) -> String { "#\(index + 1) (\(TerminalText.elided(labels[index], to: 60)))" }

  private var table: String {
    var table = HTMLTable(
      "All reports", first: "Report",
      ["size", "ratio", "bits/w", "perplexity", "change", "mean KL", "99 % KL", "same top", "tok/s"])
    for (index, report) in reports.enumerated() {
      let cells = ComparisonFigures(report)
      table.row(
        "\(index + 1). \(labels[index])",
        [
          cells.size, cells.ratio, cells.bits, cells.perplexity, cells.change, cells.meanKL, cells.tailKL, cells.agreement,
          cells.decode,
        ])
    }
    let measurement = reports.first.flatMap { ReportSummary(report: $0).measurement }
    let words = comparability.isComparable ? measurement.map { HTML.paragraph($0) } ?? "" : ""
    let key =
      "Change is that of perplexity against the report's own reference; KL divergence in nats per token; same top is the share of "
      + "predictions with the same most likely token; tok/s is decoding speed."
    return HTML.section("Figures", id: "figures", words + table.html + HTML.paragraph(key, class: "small muted"))
  }
}
