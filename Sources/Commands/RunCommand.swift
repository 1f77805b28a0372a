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
        deepseek-optimize run recipe.yaml --model M --output O
      """)

  @Argument(help: "The recipe, YAML.")
  var recipe: String

  @OptionGroup var model: ModelOption
  @OptionGroup var runOptions: RunOptions

  func run() throws {
    let file = URL(fileURLWithPath: recipe)
    let recipe = try Recipe(yaml: TextFile.read(file), file: file.lastPathComponent)
    let bundle = try ModelBundle(opening: model.model)
    let run = runOptions.run(bundle, recipe, defaultOutput: "\(bundle.name)-optimized")
    try RunOutcome(report: run.execute(), output: run.settings.output).finish(json: runOptions.resources.json)
  }
}
