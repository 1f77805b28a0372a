import DeepSeekOptimize
import Foundation

/// What `run --list` prints.
struct RecipeTable {
  let recipes: [NamedRecipe]

  private static let heads = ["recipe", "bits", "size", "perplexity", "mean KL", "text", "what it does"]

  private func cells(_ recipe: NamedRecipe) -> [String] {
    var figures = ["", "", "not measured", ""]
    if let measured = recipe.measured {
      figures = [
        String(format: "%.2f", measured.bitsPerWeight), String(format: "%.2f×", measured.ratio),
        String(format: "%+.2f %%", (measured.perplexityRatio - 1) * 100), String(format: "%.3g", measured.klDivergence),
      ]
    }
    return [recipe.name] + figures + [recipe.isCalibrated ? "yes" : "", recipe.summary]
  }

  var text: String {
    let rows = [Self.heads] + recipes.map(cells)
    let widths = Self.heads.indices.map { column in rows.map(\.[column].count).max() ?? 0 }
    let lines = rows.map { row in
      row.indices.map { column in
        switch column {
        case 0: row[column].padding(toLength: widths[column], withPad: " ", startingAt: 0)
        case row.indices.last: row[column]
        default: row[column].leftPadded(to: widths[column])
        }
      }.joined(separator: "  ")
    }
    return (lines + ["", Self.note]).joined(separator: "\n")
  }

  private static let note = """
    Measured on the demo model and its texts: bits per weight over all weights, size and perplexity against the model as it was, mean KL
    divergence in nats per token. A larger model loses less at equal bits. What takes text is calibrated on the text that ships, unless
    --calibration names another: give one that is like what the model will read.
    """

  var json: JSONValue {
    .array(
      recipes.map { recipe in
        var object: JSONObject = [
          "name": .string(recipe.name), "summary": .string(recipe.summary), "calibrated": .bool(recipe.isCalibrated),
        ]
        object["measured"] = recipe.measured?.json
        return .object(object)
      })
  }
}
