/// Several reports as aligned text for the terminal: a row each, at most 100 columns.
public struct ComparisonTable: Sendable {
  public let reports: [CompressionReport]
  private let labels: [String]

  /// - Parameter labels: what to call each report; by default its recipe, with the model's name where models differ.
  public init(_ reports: [CompressionReport], labels: [String]? = nil) {
    self.reports = reports
    self.labels = ComparisonLabels.resolved(labels, for: reports)
  }

  /// The table and, where accuracy may not be compared, a line that says why; ends in a line break.
  public func text(style: TextStyle = .plain) -> String {
    var table = TextTable([.right, .left] + Array(repeating: .right, count: 8))
    table.header("#", "report", "size", "ratio", "bits/w", "perplexity", "change", "mean KL", "99 % KL", "same top")
    for (index, report) in reports.enumerated() {
      let cells = ComparisonFigures(report)
      table.row(
        [
          .init(String(index + 1)), .init(labels[index]), .init(cells.size), .init(cells.ratio), .init(cells.bits),
          .init(cells.perplexity), .init(cells.change), .init(cells.meanKL), .init(cells.tailKL), .init(cells.agreement),
        ])
    }
    var lines = table.lines(style: style)
    if let notice = Comparability(reports).notice {
      lines.append("")
      let wrapped = TerminalText.wrapped(TerminalText.sanitized(notice), to: ReportTable.width - 4)
      for (index, line) in wrapped.enumerated() { lines.append((index == 0 ? "  ! " : "    ") + style.paint(line, .caution)) }
    }
    return lines.joined(separator: "\n") + "\n"
  }
}

/// The figures of one row, in words; empty where nothing was measured.
struct ComparisonFigures {
  let size, ratio, bits, perplexity, change, meanKL, tailKL, agreement, decode: String

  init(_ report: CompressionReport) {
    let summary = ReportSummary(report: report)
    let accuracy = report.accuracy
    size = report.size?.outputBytes.map(NumberText.bytes) ?? ""
    ratio = summary.sizeRatio.map { NumberText.fixed($0, 2) + "×" } ?? ""
    bits = report.size?.bitsPerWeight.map { NumberText.fixed($0, 2) } ?? ""
    perplexity = accuracy?.compressed?.perplexity.map { NumberText.perplexity($0) } ?? ""
    change = summary.perplexityChange.map(NumberText.percentChange) ?? ""
    meanKL = accuracy?.klDivergence?.mean.map(NumberText.nats) ?? ""
    tailKL = accuracy?.klDivergence?.p99.map(NumberText.nats) ?? ""
    agreement = accuracy?.topTokenAgreement.map { NumberText.percent($0) } ?? ""
    decode = report.speed?.decodeTokensPerSecond?.compressed.map { NumberText.significant($0, 4) } ?? ""
  }
}
