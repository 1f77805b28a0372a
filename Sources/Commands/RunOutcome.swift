import ArgumentParser
import DeepSeekOptimize
import Foundation

/// What a finished run shows, and the status it ends with.
struct RunOutcome {
  let report: CompressionReport
  let output: URL

  /// Prints table and paths (or the report as JSON), and ends with status 2 when a gate was missed.
  func finish(json: Bool) throws {
    if json {
      Terminal.print(json: report.json)
    } else {
      Terminal.print(
        ReportTable(report).text(style: Terminal.outputStyle, width: Terminal.outputWidth).trimmingCharacters(in: .newlines) + "\n")
      Terminal.print("checkpoint  \(output.path)")
      Terminal.print("report      \(output.appendingPathComponent("report.html").path)")
    }
    let missed = report.gates.filter { !$0.passed }
    guard missed.isEmpty else {
      let names = missed.map { "\($0.name) \($0.figures.value ?? "not measured") is above \($0.figures.limit ?? "its limit")" }
        .joined(separator: ", ")
      Terminal.printError("error: a gate was missed: \(names); the checkpoint was kept at \(output.path)")
      throw ExitCode(FailureKind.gateMissed.rawValue)
    }
  }
}
