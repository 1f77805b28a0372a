import ArgumentParser
import Foundation

/// What a shell is told of a command. The parser writes the scripts; here stands what it leaves out.
enum CompletionScript {
  /// The command that scripts are made of, and that answers shells which ask back: where a subcommand need not be named, its options are the
  /// command's own.
  static func source(of command: any ParsableCommand.Type) -> any ParsableCommand.Type {
    switch command {
    case is FinetuneCommand.Type: FinetuneCompletion.self
    case is OptimizeCommand.Type: OptimizeCompletion.self
    default: command
    }
  }

  /// Whether a shell asks: for a script, or for values.
  static func isAsked(by arguments: [String]) -> Bool {
    guard let first = arguments.dropFirst().first else { return false }
    return first == "---completion" || first.hasPrefix("--generate-completion-script")
  }

  static func text(of command: any ParsableCommand.Type, for shell: CompletionShell) -> String {
    offeringDemo(source(of: command).completionScript(for: shell))
  }

  /// A script that offers `demo` beside files of the right kind.
  /// - Parameter script: as the parser wrote it; `demo` stands among the endings of files there, for the parser knows files or words, not both.
  static func offeringDemo(_ script: String) -> String {
    let changes = [
      // bash: words and files, all but those that neither are demo nor end as they should.
      (#"-fX '!\*\.@\(demo\|([^)]*)\)'"#, #"-W demo -fX '!@(demo|*.@($1))'"#),
      // zsh: a piece of script in place of an action.
      (#":_files -g ('\\'')\*\.demo ([^']*)'\\''"#, #":{compadd -- demo; _files -g $1$2$1}"#),
      // fish: a line before those that are found.
      (#"set -l exts \\'demo\\' "#, #"echo demo;set -l exts "#),
    ]
    return changes.reduce(script) { $0.replacingOccurrences(of: $1.0, with: $1.1, options: .regularExpression) }
  }
}

/// `deepseek-finetune` for shells: what trains without a subcommand has the options of training.
struct FinetuneCompletion: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: FinetuneCommand.configuration.commandName, version: FinetuneCommand.configuration.version,
    subcommands: FinetuneCommand.configuration.subcommands)

  @OptionGroup var train: TrainCommand
}

/// `deepseek-optimize finetune` for shells.
struct FinetuneSubcommandCompletion: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: FinetuneSubcommand.configuration.commandName, abstract: FinetuneSubcommand.configuration.abstract,
    subcommands: FinetuneSubcommand.configuration.subcommands)

  @OptionGroup var train: TrainCommand
}

/// `deepseek-optimize` for shells.
struct OptimizeCompletion: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: OptimizeCommand.configuration.commandName, version: OptimizeCommand.configuration.version,
    subcommands: OptimizeCommand.configuration.subcommands.map { $0 == FinetuneSubcommand.self ? FinetuneSubcommandCompletion.self : $0 })
}
