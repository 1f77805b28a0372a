import DeepSeekOptimize
import Foundation

/// What `run --list` prints.
struct RecipeTable {
  let recipes: [NamedRecipe]

  private func figures(_ recipe: NamedRecipe) -> [String] {
    guard let measured = recipe.measured else { return ["", "", "not measured", ""] }
    return [
      String(format: "%.2f", measured.bitsPerWeight), String(format: "%.2f×", measured.ratio),
      String(format: "%+.2f %%", (measured.perplexityRatio - 1) * 100), String(format: "%.3g", measured.klDivergence),
    ]
  }

  /// - Parameter width: of the terminal; nil for a file.
  func text(width: Int?, style: TextStyle) -> String {
    var table = CatalogueTable(heads: ["recipe", "bits", "size", "perplexity", "mean KL", "text"], note: Self.note)
    table.rows = recipes.map { ($0.name, figures($0) + [$0.isCalibrated ? "yes" : ""], $0.summary) }
    return table.text(width: width, style: style)
  }

  private static let note =
    "Measured on the demo model and its texts: bits per weight over all weights, size and perplexity against the model as it was, mean KL "
    + "divergence in nats per token. A larger model loses less at equal bits. What takes text is calibrated on the text that ships, unless "
    + "--calibration names another: give one that is like what the model will read."

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
