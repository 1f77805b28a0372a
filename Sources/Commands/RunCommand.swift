import ArgumentParser
import DeepSeekOptimize
import Foundation

/// `deepseek-optimize run`.
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "A recipe: several passes in order, one checkpoint and one report at the end.",
    discussion: """
      EXAMPLES
        deepseek-optimize run --list
        deepseek-optimize run w4-gptq --model M --calibration train.txt --output O
        deepseek-optimize run w4-gptq --print-recipe > recipe.yaml
        deepseek-optimize run recipe.yaml --model M --output O
      """)

  @Argument(help: "The recipe: a file of YAML, or the name of one that ships.", completion: .recipeNames)
  var recipe: String?

  @Flag(help: "List the recipes that ship, with what they reached on the demo model, and stop.")
  var list = false

  @Flag(help: "Print the recipe with every option written out, and stop.")
  var printRecipe = false

  @Option(
    help: ArgumentHelp(
      "The text that the recipe's passes are calibrated on, instead of the one it names; or demo, the text that ships.", valueName: "file"),
    completion: .textOrDemo)
  var calibration: String?

  @OptionGroup(title: "Model and output") var model: ModelOption
  @OptionGroup var runOptions: RunOptions

  func validate() throws {
    if list, printRecipe { throw ValidationError("--list and --print-recipe each print something else: give one of them") }
    if list, recipe != nil { throw ValidationError("--list shows all recipes: leave the name out, or use --print-recipe") }
    if !list, recipe == nil { throw ValidationError("a recipe is missing: give a file, or a name that --list shows") }
    try runOptions.checkDivergenceGate(isBudget: false)
  }

  func run() throws {
    let resources = runOptions.resources
    guard let name = recipe else {
      let table = RecipeTable(recipes: try NamedRecipe.all())
      let text = table.text(width: Terminal.terminalWidth, style: Terminal.outputStyle)
      if resources.json { Terminal.print(json: table.json) } else { Terminal.print(text) }
      return
    }
    let named = try NamedRecipe(opening: name).calibrated(on: calibration)
    if printRecipe {
      Terminal.print(named.yaml().trimmingCharacters(in: .newlines))
      return
    }
    let bundle = try ModelBundle(opening: model.model)
    let run = RecipeRun(
      model: bundle, recipe: named.recipe, settings: runOptions.settings(defaultOutput: NamedRecipe.defaultOutput(of: name, for: bundle)),
      progress: ProgressBar.handler(quiet: resources.quiet))
    named.remindOfText(calibration, for: model.model, isQuiet: resources.quiet)
    try RunOutcome(report: run.execute(), output: run.settings.output).finish(json: resources.json)
  }
}
