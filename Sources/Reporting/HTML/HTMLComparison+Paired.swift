extension ComparisonPage {
  /// Whether reports differ by more than chance, window by window.
  var paired: String {
    guard comparability.compared.count > 1, let first = comparability.compared.first else { return "" }
    let tests = comparison.tests
    guard !tests.pairs.isEmpty else {
      return HTML.section(
        "Is the difference real?", id: "paired",
        HTML.paragraph(
          "These reports hold no figures by window, so their differences cannot be tested pairwise; "
            + "overlapping intervals of single reports are no such test."))
    }
    var table = HTMLTable(
      "Difference from report \(first + 1), 95 % intervals", first: "Report",
      ["measure", "difference", "95 % interval", "p", "verdict"], text: ["measure", "verdict"])
    for pair in tests.pairs(with: first) {
      for row in DifferenceRow.rows(of: pair) {
        table.row(
          name(pair.report), [row.measure, row.difference, row.interval, row.probability, row.verdict.rawValue],
          class: row.verdict == .worse ? "bad" : row.verdict == .better ? "good" : nil)
      }
    }
    var words = DifferenceRow.explanation(tests)
    if tests.isAgainstFirst { words += " So many reports are tested against the first only." }
    return HTML.section(
      "Is the difference real?", id: "paired",
      (table.rows.isEmpty ? "" : table.html) + matrix + HTML.paragraph(HTML.typographic(words), class: "small muted"))
  }

  /// Every report against every other, where there are more than two and few enough.
  private var matrix: String {
    let tests = comparison.tests
    let shown = comparability.compared.filter { index in
      tests.pairs.contains { ($0.report == index || $0.baseline == index) && $0.divergence != nil }
    }
    guard !tests.isAgainstFirst, shown.count > 2 else { return "" }
    var table = HTMLTable("Mean KL divergence, row less column", first: "Report", shown.map { "#\($0 + 1)" })
    for row in shown {
      table.row(
        name(row),
        shown.map { column in
          guard row != column else { return "" }
          let outcome = tests[max(row, column), min(row, column)]?.divergence
          guard let outcome else { return NumberText.absent }
          let difference = row > column ? outcome.difference.mean : -outcome.difference.mean
          switch outcome.verdict {
          case .identical: return "identical"
          case .unclear: return "unclear"
          case .better, .worse: return DifferenceRow.signed(difference)
          }
        })
    }
    let words = "Below zero, the report of the row is closer to the reference than that of the column; unclear where p is 0.05 or more."
    return table.html + HTML.paragraph(words, class: "small muted")
  }
}
