extension ReportTable {
  /// What every stage of a recipe left.
  var passes: Section? {
    guard let passes = report.passes, !passes.isEmpty else { return nil }
    var section = Section(title: "Pass by pass")
    var table = TextTable([.left] + Array(repeating: .right, count: 6))
    table.header(.init("after"), "parameters", "bytes", "perplexity", "KL, nats", "same top", "seconds")
    for pass in passes {
      table.row([.init(TerminalText.elided(TerminalText.sanitized(pass.name), to: 30))] + pass.figures.map { .init($0) })
    }
    section.add(table, spare: [6])
    return section
  }
}

extension CompressionReport.PassResult {
  /// The titles of ``figures``.
  static let titles = ["parameters", "bytes", "perplexity", "KL, nats", "same top token", "seconds"]

  /// In the order of the titles, empty where nothing was measured.
  var figures: [String] {
    [
      parameters.map { NumberText.grouped($0) } ?? "", bytes.map { NumberText.bytes($0) } ?? "",
      perplexity.map { NumberText.significant($0, 5) } ?? "", klDivergence.map(NumberText.nats) ?? "",
      topTokenAgreement.map { NumberText.percent($0) } ?? "", seconds.map { NumberText.significant($0, 3) } ?? "",
    ]
  }
}
