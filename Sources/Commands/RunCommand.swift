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
  @OptionGroup var destination: OutputOptions
  @OptionGroup(title: "Evaluation") var evaluation: EvaluationOptions

  @Flag(help: "Do not measure the result.")
  var noEval = false

  @OptionGroup(title: "Gates") var gates: GateOptions
  @OptionGroup(title: "Running") var resources: ResourceOptions

  func validate() throws {
    if noEval, gates.isSet { throw ValidationError("--no-eval leaves nothing for a gate to measure") }
  }

  func run() throws {
    let file = URL(fileURLWithPath: recipe)
    let recipe = try Recipe(yaml: TextFile.read(file), file: file.lastPathComponent)
    let bundle = try ModelBundle(opening: model.model)
    var settings = RunSettings(output: URL(fileURLWithPath: destination.output ?? "\(bundle.name)-optimized"))
    settings.overwrite = destination.overwrite
    settings.resume = destination.resume
    settings.evaluation = noEval ? nil : evaluation.settings
    settings.gates = gates.gates
    settings.threads = resources.threads
    settings.maximumMemory = resources.maxMemory?.bytes
    let run = CompressionRun(
      model: bundle, recipe: recipe, settings: settings, progress: ProgressBar.handler(quiet: resources.quiet))
    try RunOutcome(report: run.execute(), output: settings.output).finish(json: resources.json)
  }
}
