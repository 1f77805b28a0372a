import DeepSeekOptimize
import Foundation

/// What `--list-recipes` prints.
struct PresetTable {
  let presets: [FinetunePreset]
  /// Of the model that they were measured on.
  let parameters: Int

  private static let heads = ["recipe", "rate", "steps", "trained", "perplexity", "", "tokens/s", "memory"]

  private func cells(_ preset: FinetunePreset) -> [String] {
    guard let measured = preset.measured else { return [preset.name, "", "", "", "not measured", "", "", ""] }
    return [
      preset.name, String(format: "%.0e", measured.learningRate), "\(measured.steps)",
      String(format: "%.3g %%", 100 * Double(measured.trainableParameters) / Double(max(1, parameters))),
      String(format: "%.1f", measured.perplexityBefore), String(format: "%.1f", measured.perplexityAfter),
      String(format: "%.0f", measured.tokensPerSecond), String(format: "%.0f MB", Double(measured.peakMemoryBytes) / 1e6),
    ]
  }

  var text: String {
    let rows = [Self.heads] + presets.map(cells)
    let widths = Self.heads.indices.map { column in rows.map(\.[column].count).max() ?? 0 }
    func line(_ row: [String]) -> String {
      row.indices.map { $0 == 0 ? row[$0].padding(toLength: widths[0], withPad: " ", startingAt: 0) : row[$0].leftPadded(to: widths[$0]) }
        .joined(separator: "  ").trimmingTrailingSpaces
    }
    let nameWidth = widths[0]
    var lines = rows.map(line)
    lines.append("")
    lines += presets.map { $0.name.padding(toLength: nameWidth, withPad: " ", startingAt: 0) + "  " + $0.summary }
    lines.append("")
    lines.append(
      "Measured on the demo model: perplexity of its evaluation text before and after; what is trained as a share of its parameters.")
    return lines.joined(separator: "\n")
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

extension String {
  fileprivate var trimmingTrailingSpaces: String {
    var text = self[...]
    while text.last == " " { text.removeLast() }
    return String(text)
  }
}
