import ArgumentParser
import DeepSeekOptimize
import Foundation

/// `deepseek-optimize distill`.
struct DistillCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "distill",
    abstract: "Let a student learn what its teacher predicts, in three stages, each kept only where it helps.",
    discussion: """
      The stages: hidden states are aligned; then predictions, on the text and on what the student writes itself; then predictions under \
      perturbations and on hard text. Each is measured before and after on text that is held out.

      EXAMPLES
        deepseek-optimize distill --teacher demo --student demo-int4 --data demo \\
          --steps 40
        deepseek-optimize distill --teacher M --student M-pruned \\
          --data train.txt --output O
        deepseek-optimize distill --teacher M --student M-int4 --data train.txt \\
          --steps 1000
        deepseek-optimize distill --teacher M --student S --data train.txt \\
          --no-features --no-policy --no-robustness
      """)

  @OptionGroup(title: "Model and output") var pair: DistillationPair
  @OptionGroup(title: "Stages") var stages: DistillationOptions

  @Option(help: "Where every random choice derives from. Default: 0.")
  var seed: UInt64 = 0

  @OptionGroup var runOptions: RunOptions

  func validate() throws {
    try runOptions.checkDivergenceGate(isBudget: false)
    guard stages.options.steps > 0 else { throw ValidationError("every stage is left out") }
  }

  func run() throws {
    var distillation = stages.options
    (distillation.teacher, distillation.data) = (pair.teacher, pair.data)
    let bundle = try ModelBundle(opening: pair.student)
    let run = RecipeRun(
      model: bundle, recipe: Recipe(passes: [distillation], seed: seed),
      settings: runOptions.settings(defaultOutput: "\(bundle.name)-distilled"),
      progress: ProgressBar.handler(quiet: runOptions.resources.quiet))
    try RunOutcome(report: run.execute(), output: run.settings.output).finish(json: runOptions.resources.json)
  }
}
