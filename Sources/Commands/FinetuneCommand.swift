import ArgumentParser
import DeepSeekOptimize

/// `deepseek-finetune`, and `deepseek-optimize finetune`.
public struct FinetuneCommand: ParsableCommand {
  public static let configuration = CommandConfiguration(
    commandName: "deepseek-finetune",
    abstract: "Train low-rank adapters (LoRA) for a model, or all its parameters, on texts, completions or conversations.",
    discussion: """
      Without a subcommand it trains; `deepseek-finetune train --help` lists the options.

      EXAMPLES
        deepseek-finetune --model M --data train.jsonl --output A
        deepseek-finetune --model M --data train.jsonl --bits 4 --rank 32 \\
          --target all --dora
        deepseek-finetune merge --model M --adapter A --output merged
        deepseek-finetune unmerge --model merged --output M-again
      """,
    version: "\(Tool.name) \(Tool.version)",
    subcommands: [TrainCommand.self, MergeCommand.self, UnmergeCommand.self], defaultSubcommand: TrainCommand.self)

  public init() {}
}
