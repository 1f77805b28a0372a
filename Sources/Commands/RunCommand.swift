import ArgumentParser
import DeepSeekOptimize

/// `deepseek-optimize run`.
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "A recipe: several passes in order, one checkpoint and one report at the end.",
    discussion: """
      EXAMPLES
        deepseek-optimize run recipe.yaml --model M --output O
      """)

  @Argument(help: "The recipe, YAML.")
  var recipe: String

  @Option(
    help: ArgumentHelp(
      "The text that the recipe's passes are calibrated on, instead of the one it names; or demo, the text that ships.", valueName: "file"))
  var calibration: String?

  @OptionGroup var model: ModelOption
  @OptionGroup var runOptions: RunOptions

  func validate() throws { try runOptions.checkDivergenceGate(isBudget: false) }

  func run() throws {
    let recipe = try Recipe(file: recipe, calibration: calibration)
    let bundle = try ModelBundle(opening: model.model)
    let run = RecipeRun(
      model: bundle, recipe: recipe, settings: runOptions.settings(defaultOutput: "\(bundle.name)-optimized"),
      progress: ProgressBar.handler(quiet: runOptions.resources.quiet))
    try RunOutcome(report: run.execute(), output: run.settings.output).finish(json: runOptions.resources.json)
  }
}
