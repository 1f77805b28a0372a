import ArgumentParser
import DeepSeekOptimize
import Foundation

/// `deepseek-finetune merge`.
struct MergeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "merge",
    abstract: "Fold an adapter into the weights it stands beside: a checkpoint that needs no adapter.",
    discussion: """
      The sum is rounded once to the type of the weights. A quantized model stays quantized: the adapted layers are quantized again, and the \
      report says how far that is from the model with the adapter beside it. What `unmerge` needs to give back the original, bit by bit, lies in \
      OUTPUT/unmerge, where the output is in the container of the model.

      EXAMPLES
        deepseek-finetune merge --model M --adapter A --output merged
        deepseek-finetune unmerge --model merged --output M-again
      """)

  @OptionGroup(title: "Model and output") var model: ModelOption

  @OptionGroup(title: "Model and output") var merging: MergingOptions
  @OptionGroup var runOptions: RunOptions

  func validate() throws { try runOptions.checkDivergenceGate(isBudget: false) }

  func run() throws {
    let bundle = try ModelBundle(opening: model.model)
    let recipe = Recipe(passes: [AdapterMerging(adapter: URL(fileURLWithPath: merging.adapter).path)], format: merging.format)
    let run = runOptions.run(bundle, recipe, defaultOutput: "\(bundle.name)-merged")
    try RunOutcome(report: run.execute(), output: run.settings.output).finish(json: runOptions.resources.json)
  }
}

/// What is merged, and what it is written as.
struct MergingOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("The adapter: a directory that PEFT, mlx-lm or deepseek-finetune wrote.", valueName: "directory"),
    completion: .directory)
  var adapter: String

  @Option(help: "The container of the output: compressed-tensors (as the model is stored), hdf5, or safetensors (dequantized).")
  var format = OutputFormat.compressedTensors
}
