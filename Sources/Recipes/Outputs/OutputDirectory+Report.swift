import Reporting
import StructuredData

extension OutputDirectory {
  /// What every run says of its output: the figures, a page of them, and the model card.
  static let reportFiles = ["report.json", "report.html", "README.md"]

  /// Writes these files.
  func write(_ report: CompressionReport, card: ModelCard.Output) throws {
    try write(report.json.text(), to: "report.json")
    try write(HTMLReport.render(report), to: "report.html")
    try write(ModelCard(report, of: card).text, to: "README.md")
  }
}
