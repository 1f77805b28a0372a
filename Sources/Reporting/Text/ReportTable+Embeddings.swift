extension ReportTable {
  /// How far embeddings agree.
  var embeddings: Section? {
    guard let embeddings = report.embeddings else { return nil }
    var section = Section(title: "Embeddings")
    var table = TextTable([.left, .right])
    for (name, value) in embeddings.rows { table.row(.init(name), .init(value)) }
    section.add(table)
    section.add(
      paragraph:
        "Against the source, on \(NumberText.grouped(embeddings.sentences)) lines of \(TerminalText.elided(embeddings.text, to: 40))"
        + (embeddings.pooling.map { ", pooled by \(TerminalText.elided($0, to: 20))." } ?? "."))
    return section
  }
}
