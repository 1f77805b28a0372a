extension ReportPage {
  var embeddings: String {
    guard let embeddings = report.embeddings else { return "" }
    var table = HTMLTable("Embeddings against the source's", first: "", ["value"])
    for (name, value) in embeddings.rows { table.row(name.prefix(1).uppercased() + name.dropFirst(), [value]) }
    return HTML.section(
      "Embeddings", id: "embeddings",
      HTML.paragraph(
        "\(NumberText.grouped(embeddings.sentences)) lines of \(TerminalText.elided(embeddings.text, to: 80)), each by itself.")
        + table.html)
  }
}
