import ArgumentParser
import DeepSeekOptimize

/// `deepseek-optimize`: every command under one name.
public struct OptimizeCommand: ParsableCommand {
  public static let configuration = CommandConfiguration(
    commandName: "deepseek-optimize",
    abstract: "Make language models smaller, and know what it cost.",
    discussion: """
      EXAMPLES
        deepseek-optimize quant --bits 4 --output demo-int4
        deepseek-optimize eval --model demo-int4 --reference demo
        deepseek-optimize inspect demo-int4
        deepseek-optimize quant --model M --bits 4 --calibration text.txt \\
          --metrics-port 9464
      """,
    version: "\(Tool.name) \(Tool.version)",
    subcommands: [
      QuantSubcommand.self, FinetuneSubcommand.self, PruneCommand.self, ReplaceCommand.self, DistillCommand.self, EvalCommand.self,
      CompareCommand.self,
      InspectCommand.self, VerifyCommand.self,
      ConvertCommand.self,
      GenerateCommand.self, BenchCommand.self, TokenizeCommand.self, RunCommand.self,
    ])

  public init() {}
}

/// The same command as `deepseek-quant`, under the name it has here.
struct QuantSubcommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quant", abstract: QuantCommand.configuration.abstract, discussion: QuantCommand.configuration.discussion)

  @OptionGroup var command: QuantCommand

  func run() throws { try command.run() }
}

/// The same command as `deepseek-finetune`, under the name it has here.
struct FinetuneSubcommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "finetune", abstract: FinetuneCommand.configuration.abstract, discussion: FinetuneCommand.configuration.discussion,
    subcommands: FinetuneCommand.configuration.subcommands, defaultSubcommand: FinetuneCommand.configuration.defaultSubcommand)
}
