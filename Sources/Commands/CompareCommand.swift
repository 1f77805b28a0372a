import ArgumentParser
import DeepSeekOptimize
import Foundation

/// `deepseek-optimize compare`.
struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Several reports side by side: a table, a page with plots, Markdown or CSV.",
    discussion: """
      Accuracies are set side by side where the text, its windows and the reference are the same; reports that were measured otherwise are \
      named and left out. A single report is shown or exported as it is.

      EXAMPLES
        deepseek-optimize compare demo-int8 demo-int4 --output comparison.html
        deepseek-optimize compare demo-int8 demo-int4 --markdown
        deepseek-optimize compare demo-int4 --layers --output layers.csv
      """)

  @Argument(help: "Outputs of runs, or their report.json files.", completion: .directory)
  var reports: [String]

  @Option(
    help: ArgumentHelp("Write the comparison to a file as its ending says: .html, .md, .csv or .json.", valueName: "file"),
    completion: .file(extensions: ["html", "md", "csv", "json"]))
  var output: String?

  @Flag(help: "Print the reports as a JSON array.")
  var json = false

  @Flag(help: "Print tables of Markdown.")
  var markdown = false

  @Flag(help: "Print comma-separated values, a row for each report.")
  var csv = false

  @Flag(help: "With CSV: a row for each layer of each report.")
  var layers = false

  /// What a comparison can be written as.
  private enum Form: String {
    case html, md, csv, json
  }

  private var printed: [Form] { (json ? [.json] : []) + (markdown ? [.md] : []) + (csv ? [.csv] : []) }

  private func form(of file: String) throws -> Form {
    guard let form = Form(rawValue: URL(fileURLWithPath: file).pathExtension.lowercased()) else {
      throw ValidationError("--output \(file) must end in .html, .md, .csv or .json, which says what is written")
    }
    return form
  }

  func validate() throws {
    if reports.isEmpty { throw ValidationError("compare needs a report") }
    if printed.count > 1 {
      throw ValidationError("--json, --markdown and --csv exclude each other; --output writes one more form to a file")
    }
    let written = try output.map(form)
    if layers, !csv, written != .csv { throw ValidationError("--layers needs --csv, or an --output that ends in .csv") }
  }

  func run() throws {
    let loaded = try reports.map(StoredReport.read)
    // People know outputs by the names they gave them.
    let names = reports.map { path in
      let url = URL(fileURLWithPath: path)
      return url.lastPathComponent == "report.json" ? url.deletingLastPathComponent().lastPathComponent : url.lastPathComponent
    }
    let labels = Set(names).count == names.count ? names : reports
    if let output { try TextOutput.write(text(loaded, labels, form(of: output)), to: output) }
    if let form = printed.first {
      Terminal.write(text(loaded, labels, form), to: STDOUT_FILENO)
    } else {
      let (style, width) = (Terminal.outputStyle, Terminal.outputWidth)
      let table =
        loaded.count == 1
        ? ReportTable(loaded[0]).text(style: style, width: width)
        : ComparisonTable(loaded, labels: labels).text(style: style, width: width)
      Terminal.print(table.trimmingCharacters(in: .newlines))
      if let output { Terminal.print("\nwritten     \(URL(fileURLWithPath: output).path)") }
    }
  }

  /// Ends in a line break. A page of one report is that report's own.
  private func text(_ reports: [CompressionReport], _ labels: [String], _ form: Form) -> String {
    switch form {
    case .html: reports.count == 1 ? HTMLReport.render(reports[0]) : HTMLComparison.render(reports, labels: labels)
    case .md: ComparisonMarkdown(reports, labels: labels).text
    case .csv: layers ? ComparisonCSV(reports, labels: labels).layers : ComparisonCSV(reports, labels: labels).text
    case .json: JSONValue.array(reports.map(\.json)).text().trimmingCharacters(in: .newlines) + "\n"
    }
  }
}
