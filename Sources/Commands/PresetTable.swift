import DeepSeekOptimize
import Foundation

/// What `--list-recipes` prints.
struct PresetTable {
  let presets: [FinetunePreset]
  /// Of the model that they were measured on.
  let parameters: Int

  private func figures(_ preset: FinetunePreset) -> [String] {
    guard let measured = preset.measured else { return ["", "", "", "not measured", "", "", ""] }
    return [
      String(format: "%.0e", measured.learningRate), "\(measured.steps)",
      String(format: "%.3g %%", 100 * Double(measured.trainableParameters) / Double(max(1, parameters))),
      String(format: "%.1f", measured.perplexityBefore), String(format: "%.1f", measured.perplexityAfter),
      String(format: "%.0f", measured.tokensPerSecond), String(format: "%.0f MB", Double(measured.peakMemoryBytes) / 1e6),
    ]
  }

  private static let note =
    "Measured on the demo model: perplexity of its evaluation text before and after training; what is trained as a share of its parameters."

  /// - Parameter width: of the terminal; nil for a file.
  func text(width: Int?, style: TextStyle) -> String {
    var table = CatalogueTable(
      heads: ["recipe", "rate", "steps", "trained", "before", "after", "tokens/s", "memory"], note: Self.note)
    table.rows = presets.map { ($0.name, figures($0), $0.summary) }
    return table.text(width: width, style: style)
  }

  var json: JSONValue {
    .array(
      presets.map { preset in
        var object: JSONObject = ["name": .string(preset.name), "summary": .string(preset.summary)]
        object["settings"] = preset.settings.json
        object["measured"] = preset.measured?.json
        return .object(object)
      })
  }
}
