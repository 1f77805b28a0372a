import ArgumentParser
import DeepSeekOptimize

/// `deepseek-finetune unmerge`.
struct UnmergeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "unmerge",
    abstract: "Take a merged adapter out again: the original weights, bit by bit, or an error.",
    discussion: """
      EXAMPLES
        deepseek-finetune unmerge --model merged --output M-again
      """)

  @OptionGroup(title: "Model and output") var merged: MergedModelOption
  @OptionGroup var runOptions: RunOptions

  func validate() throws { try runOptions.checkDivergenceGate(isBudget: false) }

  func run() throws {
    let bundle = try ModelBundle(opening: merged.model).unmerged(threads: runOptions.resources.threads)
    let run = runOptions.run(bundle, Recipe(passes: []), defaultOutput: "\(bundle.name)-unmerged")
    try RunOutcome(report: run.execute(), output: run.settings.output).finish(json: runOptions.resources.json)
  }
}

/// `--model`, which has no default here.
struct MergedModelOption: ParsableArguments {
  @Option(help: ArgumentHelp("A checkpoint that `merge` wrote, with its subdirectory unmerge.", valueName: "model"), completion: .directory)
  var model: String
}
