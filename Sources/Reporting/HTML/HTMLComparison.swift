/// Several reports on one self-contained page: table, Pareto plots, distributions, paired tests and a heat map by layer.
///
/// Accuracy is drawn side by side only for reports that scored the same predictions of the same text against the same reference; the page
/// says what sets the others apart and keeps them to the table. It stays below 400 kB whatever the reports.
public enum HTMLComparison {
  /// - Parameter labels: what to call each report; by default its recipe, with the model's name where models differ.
  public static func render(_ reports: [CompressionReport], labels: [String]? = nil) -> String {
    let page = ComparisonPage(comparison: ReportComparison(reports, labels: labels))
    return HTMLPage(title: "Comparison of compression reports", header: page.header, body: page.body, footer: page.footer).html
  }
}

/// The parts of the page in reading order.
struct ComparisonPage {
  let comparison: ReportComparison

  var reports: [CompressionReport] { comparison.reports }
  var comparability: Comparability { comparison.comparability }

  /// The colour of a report; after the last they start again, its number stays its own.
  func series(_ index: Int) -> Int { index % Palette.light.series.count + 1 }

  /// `2. demo-int4`, as every table calls it.
  func name(_ index: Int) -> String { comparison.name(index) }

  var header: String {
    let names = Set(reports.map(\.model.name))
    let title = names.count == 1 ? names.first ?? "" : "\(names.count) models"
    let count = reports.count == 1 ? "1 report" : "\(reports.count) reports"
    return "<p class=\"kind\">Comparison of compression reports</p>\n<h1>\(HTML.name(title))</h1>\n<p class=\"sub\">\(count)</p>\n"
  }

  var body: String { notice + lead + table + pareto + distributions + paired + heatMap }

  var footer: String {
    let tools = Set(reports.map { "\($0.tool.name) \($0.tool.version)" }).sorted().prefix(8)
    return "<p>Reports written by \(HTML.name(tools.joined(separator: ", "), limit: 300)). What is not shown was not measured. "
      + "<code>compare --csv</code> has the same figures with all their digits.</p>\n"
  }

  private var notice: String {
    let notices = comparability.notices
    guard !notices.isEmpty else { return "" }
    return "<section class=\"note\" aria-labelledby=\"notice\"><h2 id=\"notice\">Read this first</h2>"
      + notices.map { HTML.paragraph(TerminalText.elided($0, to: 500)) }.joined() + "</section>\n"
  }

  /// The two ends of the choice, in words.
  private var lead: String {
    var parts: [String] = []
    let sizes = reports.indices.compactMap { index in reports[index].size?.outputBytes.map { (index, $0) } }
    if let smallest = sizes.min(by: { $0.1 < $1.1 }), sizes.count > 1 {
      parts.append("smallest: \(mention(smallest.0)) with \(NumberText.bytes(smallest.1))")
    }
    let divergences = comparability.compared.compactMap { index in reports[index].accuracy?.klDivergence?.mean.map { (index, $0) } }
    if let closest = divergences.min(by: { $0.1 < $1.1 }), divergences.count > 1 {
      parts.append("closest to the reference: \(mention(closest.0)) with a mean KL divergence of \(NumberText.nats(closest.1)) nats")
    }
    guard let first = parts.first else { return "" }
    let text = ([first.prefix(1).uppercased() + first.dropFirst()] + parts.dropFirst()).joined(separator: "; ") + "."
    return HTML.paragraph(HTML.typographic(text), class: "lead")
  }

  /// `#2 (gptq 4-bit g128)`
  private func mention(_ index: Int) -> String { "#\(index + 1) (\(TerminalText.elided(comparison.labels[index], to: 60)))" }

  private var table: String {
    var table = HTMLTable(
      "All reports", first: "Report",
      ["size", "ratio", "bits/w", "perplexity", "change", "mean KL", "99 % KL", "same top", "tok/s"])
    for (index, report) in reports.enumerated() {
      let cells = ComparisonFigures(report)
      table.row(
        name(index),
        [
          cells.size, cells.ratio, cells.bits, cells.perplexity, cells.change, cells.meanKL, cells.tailKL, cells.agreement,
          cells.decode,
        ])
    }
    let measurement = comparability.compared.first.flatMap { ReportSummary(report: reports[$0]).measurement }
    var key =
      "Change is that of perplexity against the report's own reference; KL divergence in nats per token; same top is the share of "
      + "predictions with the same most likely token; tok/s is decoding speed."
    if !comparability.isComparable { key += " † was measured otherwise: see the top of the page." }
    return HTML.section(
      "Figures", id: "figures",
      (measurement.map { HTML.paragraph($0) } ?? "") + table.html + HTML.paragraph(key, class: "small muted"))
  }
}
