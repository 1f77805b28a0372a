import Reporting
import StructuredData

extension OutputDirectory {
  /// What every run says of its output: the figures, a page of them, and the model card.
  static let reportFiles = ["report.json", "report.html", "README.md"]

  /// Writes these files when everything else is written, and notes in the report what `verify` compares: a digest of every file.
  func write(_ report: inout CompressionReport, card: ModelCard.Output) throws {
    guard isFirst else { return }
    try write(HTMLReport.render(report), to: "report.html")
    try write(ModelCard(report, of: card).text, to: "README.md")
    report.files = try companionFiles(besides: report.outputs)
    report.reportSHA256 = ReportSeal.seal(of: report)
    try write(report.json.text(), to: "report.json")
  }
}
