import DeepSeekOptimize
import Foundation

/// What a dry run prints.
struct PlanTable {
  let plan: CompressionRun.Plan
  let output: URL

  private func storageName(_ storage: WeightStorage) -> String {
    switch storage {
    case .dense(let type): type.rawValue
    case .quantized(let scheme): scheme.name
    }
  }

  var text: String {
    let width = plan.layers.map(\.name.count).max() ?? 0
    func cell(_ text: String, _ width: Int) -> String { text.padding(toLength: max(width, text.count), withPad: " ", startingAt: 0) + "  " }
    var lines = [cell("tensor", width) + cell("shape", 14) + cell("stored as", 16) + "bytes".leftPadded(to: 12)]
    for layer in plan.layers {
      lines.append(
        cell(layer.name, width) + cell(layer.shape.description, 14) + cell(storageName(layer.storage), 16)
          + String(layer.outputBytes).leftPadded(to: 12))
    }
    let ratio = String(format: "%.3f", Double(plan.outputBytes) / Double(max(1, plan.sourceBytes)))
    lines.append("")
    lines.append("tensors        \(plan.sourceBytes) → \(plan.outputBytes) bytes (\(ratio)x)")
    lines.append("largest block  \(plan.largestBlockBytes) bytes before and after together")
    lines.append("output         \(output.path) (nothing was written)")
    return lines.joined(separator: "\n")
  }

  var json: JSONValue {
    [
      "output": .string(output.path), "sourceBytes": .integer(Int64(plan.sourceBytes)), "outputBytes": .integer(Int64(plan.outputBytes)),
      "largestBlockBytes": .integer(Int64(plan.largestBlockBytes)),
      "tensors": .array(
        plan.layers.map { layer in
          [
            "name": .string(layer.name), "shape": .array(layer.shape.dimensions.map { .integer(Int64($0)) }),
            "storedAs": .string(storageName(layer.storage)), "sourceBytes": .integer(Int64(layer.sourceBytes)),
            "outputBytes": .integer(Int64(layer.outputBytes)),
          ]
        }),
    ]
  }
}
