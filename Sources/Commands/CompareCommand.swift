import ArgumentParser
import DeepSeekOptimize
import Foundation

/// `deepseek-optimize compare`.
struct CompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare",
    abstract: "Several reports side by side: a table, and with --output an HTML page with plots.",
    discussion: """
      EXAMPLES
        deepseek-optimize compare demo-int8 demo-int4 --output comparison.html
      """)

  @Argument(help: "Outputs of runs, or their report.json files.")
  var reports: [String]

  @Option(help: ArgumentHelp("Write the comparison as HTML.", valueName: "file"))
  var output: String?

  @Flag(help: "Print the reports as a JSON array.")
  var json = false

  func validate() throws {
    if reports.count < 2 { throw ValidationError("compare needs at least two reports") }
  }

  func run() throws {
    let loaded = try reports.map(StoredReport.read)
    // People know outputs by the names they gave them.
    let names = reports.map { path in
      let url = URL(fileURLWithPath: path)
      return url.lastPathComponent == "report.json" ? url.deletingLastPathComponent().lastPathComponent : url.lastPathComponent
    }
    let labels = Set(names).count == names.count ? names : reports
    if let output {
      do { try HTMLComparison.render(loaded, labels: labels).write(toFile: output, atomically: true, encoding: .utf8) } catch {
        throw RecipeError(output, "cannot be written", remedy: "check that its directory exists", kind: .cannotCreate)
      }
    }
    Terminal.print(
      json
        ? JSONValue.array(loaded.map(\.json)).text().trimmingCharacters(in: .newlines)
        : ComparisonTable(loaded, labels: labels).text(style: Terminal.outputStyle).trimmingCharacters(in: .newlines))
  }
}
