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
      Terminal.print(report.json.text().trimmingCharacters(in: .newlines))
    } else {
      Terminal.print(ReportTable(report).text(style: Terminal.outputStyle).trimmingCharacters(in: .newlines) + "\n")
      Terminal.print("checkpoint  \(output.path)")
      Terminal.print("report      \(output.appendingPathComponent("report.html").path)")
    }
    let missed = report.gates.filter { !$0.passed }
    guard missed.isEmpty else {
      let names = missed.map { "\($0.name) \($0.value ?? .nan) is above \($0.limit ?? .nan)" }.joined(separator: ", ")
      Terminal.printError("error: a gate was missed: \(names); the checkpoint was kept at \(output.path)")
      throw ExitCode(FailureKind.gateMissed.rawValue)
    }
  }
}

/// What a dry run prints.
struct PlanTable {
  let text: String

  init(_ plan: CompressionRun.Plan, model: ModelBundle, output: URL) {
    let width = plan.layers.map(\.name.count).max() ?? 0
    var lines = ["\("tensor".padding(toLength: width, withPad: " ", startingAt: 0))  shape           stored as              bytes"]
    for layer in plan.layers {
      let storage =
        switch layer.storage {
        case .dense(let type): type.rawValue
        case .quantized(let scheme): scheme.name
        }
      lines.append(
        layer.name.padding(toLength: width, withPad: " ", startingAt: 0) + "  "
          + layer.shape.description.padding(toLength: 14, withPad: " ", startingAt: 0) + "  "
          + storage.padding(toLength: 16, withPad: " ", startingAt: 0) + String(layer.outputBytes).leftPadded(to: 12))
    }
    lines.append("")
    lines.append(
      "tensors       \(plan.sourceBytes) → \(plan.outputBytes) bytes (\(String(format: "%.3f", Double(plan.outputBytes) / Double(max(1, plan.sourceBytes))))x)"
    )
    lines.append("largest block \(plan.largestBlockBytes) bytes before and after together")
    lines.append("output        \(output.path) (nothing was written)")
    text = lines.joined(separator: "\n")
  }
}
