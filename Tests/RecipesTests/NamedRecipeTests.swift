import DeepSeekOptimize
import Foundation
import Testing

@testable import Recipes

/// The catalogue of recipes that ship.
@Suite struct NamedRecipeTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test func everyRecipeIsWholeAndMeasured() throws {
    let recipes = try NamedRecipe.all()
    #expect(recipes.count >= 12)
    let names = Set(recipes.map(\.name))
    let rows = Set(try NamedRecipe.measurements().keys)
    #expect(rows == names, "run Scripts/measure-recipes")
    for recipe in recipes {
      let measured = try #require(recipe.measured, "\(recipe.name)")
      #expect(measured.perplexityRatioInterval.count == 2 && measured.klDivergence > 0 && !measured.version.isEmpty)
      #expect(measured.bitsPerWeight > 2 && measured.ratio > 0 && measured.ratio < 1.5, "\(recipe.name)")
      #expect((20...140).contains(recipe.summary.count) && !recipe.recipe.passes.isEmpty, "\(recipe.name)")
      // Where text is named, it is the one that ships: nothing else is there on every machine.
      #expect(recipe.recipe.calibration == nil || recipe.usesDemoText, "\(recipe.name)")
    }
  }

  @Test func everyRecipeRoundTripsAndCanRun() throws {
    let model = try ModelBundle(opening: "demo")
    for named in try NamedRecipe.all() {
      let again = try Recipe(yaml: named.yaml())
      #expect(again.yaml() == named.recipe.yaml() && again.format == named.recipe.format, "\(named.name)")
      let settings = RunSettings(output: directory.url.appendingPathComponent(named.name))
      #expect(throws: Never.self, "\(named.name)") { try RecipeRun(model: model, recipe: again, settings: settings).check() }
    }
    #expect(directory.contents.isEmpty)
  }

  /// What the table says is what comes out, here too.
  @Test(arguments: ["w8", "mlx-4bit"]) func rowsAreWhatIsMeasured(_ name: String) throws {
    let named = try NamedRecipe.named(name)
    let row = try #require(named.measured)
    var settings = RunSettings(output: directory.url.appendingPathComponent(name))
    settings.evaluation?.measuresSpeed = false
    let report = try RecipeRun(model: ModelBundle(opening: "demo"), recipe: named.recipe, settings: settings).execute()
    #expect(report.size?.bitsPerWeight == row.bitsPerWeight && report.size?.ratio == row.ratio)
    // Sums come in another order with other instruction sets.
    let ratio = try #require(report.accuracy?.perplexityRatio)
    #expect(abs(ratio / row.perplexityRatio - 1) < 1e-4, "\(ratio)")
    let divergence = try #require(report.accuracy?.klDivergence?.mean)
    #expect(abs(divergence / row.klDivergence - 1) < 0.01, "\(divergence)")
  }

  @Test func filesComeBeforeNames() throws {
    let shipped = try NamedRecipe(opening: "w8")
    #expect(shipped.measured != nil)
    let file = directory.path("w8.yaml")
    try "# Another one.\n#\n# More.\npasses: [round-to-nearest]\n".write(toFile: file, atomically: true, encoding: .utf8)
    let own = try NamedRecipe(opening: file)
    #expect(own.name == "w8" && own.measured == nil && own.summary == "Another one.")
    #expect(own.yaml().hasPrefix("# Another one.\nversion: 1\n"))
    for path in ["w8.yml", "w9.yaml", "./w8", "/w8"] {
      let error = #expect(throws: RecipeError.self) { try NamedRecipe(opening: path) }
      #expect(error?.kind == .missingInput, "\(path)")
    }
  }

  @Test func anotherNameIsAnsweredWithTheNearest() {
    let error = #expect(throws: RecipeError.self) { try NamedRecipe(opening: "w4-gtpq") }
    #expect(error?.kind == .usage && error?.remedy.hasPrefix("did you mean 'w4-gptq'?") == true)
    let other = #expect(throws: RecipeError.self) { try NamedRecipe(opening: "something else") }
    #expect(other?.remedy == "`deepseek-optimize run --list` shows what there is")
  }

  @Test func calibrationIsTheUsersWhereGiven() throws {
    let named = try NamedRecipe.named("w4-gptq")
    #expect(named.isCalibrated && named.usesDemoText)
    let other = named.calibrated(on: "train.txt")
    #expect(!other.usesDemoText && other.recipe.calibration?.text == "train.txt")
    #expect(other.recipe.calibration?.samples == named.recipe.calibration?.samples)
    let plain = try NamedRecipe.named("w8").calibrated(on: "train.txt")
    #expect(!plain.isCalibrated)
  }
}
