/// A report as one self-contained web page: inline style and drawings, no script, nothing fetched.
///
/// It reads on a phone and in dark mode, and stays below 400 kB whatever the number of layers: the drawings aggregate, and a
/// table that would grow too large keeps the worst rows and says so.
public enum HTMLReport {
  public static func render(_ report: CompressionReport) -> String {
    let page = ReportPage(report: report)
    return HTMLPage(
      title: "\(report.model.name): compression report", header: page.header, body: page.body, footer: page.footer
    ).html
  }
}

/// The parts of the page in reading order.
struct ReportPage {
  let report: CompressionReport
  let summary: ReportSummary

  init(report: CompressionReport) {
    self.report = report
    summary = ReportSummary(report: report)
  }

  var header: String {
    let details = [summary.model, summary.recipe].filter { !$0.isEmpty }.joined(separator: " · ")
    return "<p class=\"kind\">Compression report</p>\n<h1>\(HTML.name(report.model.name))</h1>\n"
      + (details.isEmpty ? "" : "<p class=\"sub\">\(HTML.name(details, limit: 300))</p>\n")
  }

  var body: String {
    notices + HTML.paragraph(HTML.typographic(summary.sentence), class: "lead") + cards + passes + distillation + training + size + accuracy
      + embeddings + activations
      + keyValueCache + calibration + experts + allocation + pruning + replacement + layers + speed + gates + identity
  }

  var footer: String {
    "<p>Written by \(HTML.name(report.tool.name)) \(HTML.name(report.tool.version)). "
      + "The same figures are in report.json (schema \(CompressionReport.schema)); what is not shown was not measured.</p>\n"
  }

  /// What has to be known before the figures are believed comes before them.
  private var notices: String {
    var html = ""
    let missed = report.gates.filter { !$0.passed }
    if !missed.isEmpty {
      let items = missed.prefix(20).map { gate in
        let figures = gate.figures
        let value = figures.value ?? "not measured"
        let limit = figures.limit.map { ", limit \($0)" } ?? ""
        return "<li>\(HTML.name(gate.name)): \(HTML.typographic(value + limit))</li>"
      }
      html += Self.notice("\(missed.count) of \(report.gates.count) gates missed", id: "missed", items: items, class: "note bad")
    }
    if !report.warnings.isEmpty {
      var items: [String] = []
      var room = 12_000
      for warning in report.warnings {
        let item = "<li>\(HTML.name(warning, limit: 500))</li>"
        room -= item.utf8.count
        guard room > 0 else { break }
        items.append(item)
      }
      if items.count < report.warnings.count { items.append("<li>and \(report.warnings.count - items.count) more in report.json</li>") }
      html += Self.notice("Read this first", id: "warnings", items: items, class: "note")
    }
    return html
  }

  private static func notice(_ title: String, id: String, items: [String], class name: String) -> String {
    "<section class=\"\(name)\" aria-labelledby=\"\(id)\"><h2 id=\"\(id)\">\(title)</h2><ul>\(items.joined())</ul></section>\n"
  }

  private var cards: String {
    var cards: [(name: String, value: String, note: String)] = []
    if let ratio = summary.sizeRatio {
      let output = report.size?.outputBytes.map { "\(NumberText.bytes($0)) on disk" } ?? ""
      cards.append(("Size", "\(NumberText.fixed(ratio, 2))×", output))
    }
    if let bits = report.size?.bitsPerWeight { cards.append(("Bits per weight", NumberText.fixed(bits, 2), "everything counted")) }
    if let change = summary.perplexityChange {
      cards.append(("Perplexity", NumberText.percentChange(change), summary.perplexityInterval.map { "95 %: \($0)" } ?? ""))
    }
    if let kl = report.accuracy?.klDivergence, let mean = kl.mean {
      cards.append(("Mean KL divergence", NumberText.nats(mean), kl.p99.map { "nats; 99 % below \(NumberText.nats($0))" } ?? "nats"))
    }
    if let agreement = report.accuracy?.topTokenAgreement {
      cards.append(("Same top token", NumberText.percent(agreement), "of predictions"))
    }
    if let decode = report.speed?.decodeTokensPerSecond, let rate = decode.compressed {
      let speedUp = decode.speedUp.map { NumberText.fixed($0, 2) + "×" } ?? NumberText.absent
      cards.append(("Decoding", speedUp, "\(NumberText.significant(rate, 3)) tokens/s"))
    }
    guard !cards.isEmpty else { return "" }
    let items = cards.map { card in
      let value = HTML.escape(HTML.typographic(card.value))
      return "<div><dt>\(card.name)</dt><dd>\(value)<span>\(HTML.escape(HTML.typographic(card.note)))</span></dd></div>"
    }
    return "<dl class=\"cards\">\(items.joined())</dl>\n"
  }
}
