/// Several reports as aligned text for the terminal: a row each, then what tells them from the first.
public struct ComparisonTable: Sendable {
  private let comparison: ReportComparison

  /// - Parameter labels: what to call each report; by default its recipe, with the model's name where models differ.
  public init(_ reports: [CompressionReport], labels: [String]? = nil) { comparison = ReportComparison(reports, labels: labels) }

  /// The table, the differences and, where accuracy may not be compared, lines that say why; ends in a line break.
  ///
  /// - Parameter width: columns of the terminal; a narrow one gets fewer figures, and a line names those it does not.
  public func text(style: TextStyle = .plain, width: Int = ReportTable.width) -> String {
    let width = ReportTable.clamped(width)
    var lines = figures(style, width) + differences(style, width)
    for notice in comparison.comparability.notices {
      lines.append("")
      let wrapped = TerminalText.wrapped(TerminalText.sanitized(notice), to: width - 4)
      for (index, line) in wrapped.enumerated() { lines.append((index == 0 ? "  † " : "    ") + style.paint(line, .caution)) }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Names keep at least this many columns, or figures go.
  private static let leastName = 18

  private func figures(_ style: TextStyle, _ width: Int) -> [String] {
    var table = TextTable([.right, .left] + Array(repeating: .right, count: 8))
    table.header("#", "report", "size", "ratio", "bits/w", "perplexity", "change", "mean KL", "99 % KL", "same top")
    for (index, report) in comparison.reports.enumerated() {
      let cells = ComparisonFigures(report)
      table.row(
        [
          .init(String(index + 1)), .init(comparison.label(index)), .init(cells.size), .init(cells.ratio), .init(cells.bits),
          .init(cells.perplexity), .init(cells.change), .init(cells.meanKL), .init(cells.tailKL), .init(cells.agreement),
        ])
    }
    var lines = table.lines(
      width: width, style: style, least: Self.leastName, spare: [3, 8, 5, 9, 4, 6],
      elsewhere: "a wider terminal, --csv and --markdown have them")
    if comparison.reports.count > 2, let front = comparison.front {
      lines += TerminalText.wrapped(front, to: width - 2).map { "  " + style.paint($0, .faint) }
    }
    return lines
  }

  /// Beyond this many reports the page has the differences.
  private static let differenceLimit = 20

  private func differences(_ style: TextStyle, _ width: Int) -> [String] {
    guard let first = comparison.comparability.compared.first else { return [] }
    let pairs = comparison.tests.pairs(with: first)
    guard !pairs.isEmpty else { return [] }
    var table = TextTable([.right, .left, .left, .right, .right, .right, .left])
    table.header("#", "against \(first + 1)", "measure", "difference", "95 % interval", "p", "verdict")
    for pair in pairs.prefix(Self.differenceLimit) {
      var name = comparison.labels[pair.report]
      var number = String(pair.report + 1)
      for row in DifferenceRow.rows(of: pair) {
        let tone: TextStyle.Tone = row.verdict == .worse ? .bad : row.verdict == .better ? .good : .faint
        table.row(
          .init(number), .init(name), .init(row.measure), .init(row.difference), .init(row.interval), .init(row.probability),
          .init(row.verdict.rawValue, tone))
        (name, number) = ("", "")
      }
    }
    let lines = table.lines(
      width: width, style: style, least: Self.leastName - 4, spare: [5], elsewhere: "a wider terminal and --markdown have it")
    var words = DifferenceRow.explanation(comparison.tests)
    if pairs.count > Self.differenceLimit { words += " Only the first \(Self.differenceLimit) are shown." }
    return [""] + lines
      + TerminalText.wrapped(words, to: width - 2).map { "  " + style.paint($0, .faint) }
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
