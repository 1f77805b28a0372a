import ArgumentParser

/// The command that the words of a command line lead to.
struct CommandPath {
  /// From the executable's to the one that is meant.
  private let commands: [any ParsableCommand.Type]
  /// What stands behind their names.
  private let rest: [String]
  /// Whether help is asked for.
  private let isHelp: Bool

  /// - Parameter arguments: as the process got them, its own name first.
  init(of command: any ParsableCommand.Type, _ arguments: [String]) {
    var words = arguments.dropFirst()
    isHelp = words.first == "help"
    if isHelp { words = words.dropFirst() }
    var commands = [command]
    while let name = words.first, let next = commands.last?.configuration.subcommands.first(where: { $0._commandName == name }) {
      commands.append(next)
      words = words.dropFirst()
    }
    (self.commands, rest) = (commands, Array(words))
  }

  private var last: any ParsableCommand.Type { commands[commands.count - 1] }

  /// Names that may stand behind the words.
  var subcommands: [String] { last.configuration.subcommands.map { $0._commandName } }

  /// The word in the place of a subcommand's name that is none.
  var strayWord: String? { rest.first.flatMap { $0.hasPrefix("-") || subcommands.isEmpty ? nil : $0 } }

  /// The word behind `help` that names no command.
  var unknownHelp: String? { isHelp ? rest.first.flatMap { $0.hasPrefix("-") ? nil : $0 } : nil }

  /// The command whose options the words are: that one, or the one it stands for.
  private var worker: any ParsableCommand.Type { strayWord == nil ? last.configuration.defaultSubcommand ?? last : last }

  /// `deepseek-optimize run`, as a person types it to be shown its options.
  var name: String {
    (worker == last ? commands : commands + [worker]).map { $0._commandName }.joined(separator: " ")
  }

  /// Names of all options, with their hyphens: those that help begins its lines with.
  var options: Set<String> {
    let lines = commands[0].helpMessage(for: worker, includeHidden: true, columns: 1000).split(separator: "\n")
    let names = lines.filter { $0.hasPrefix("  -") }.flatMap { line in
      line.split(separator: " ").prefix { $0.hasPrefix("-") }.map { $0.last == "," ? String($0.dropLast()) : String($0) }
    }
    return Set(names.filter { $0.hasPrefix("--") })
  }

  /// The first word that has the form of an option, and is none.
  var unknownOption: String? {
    let names = options
    let words = rest.prefix { $0 != "--" }.filter { $0.hasPrefix("--") }.map { String($0.prefix { $0 != "=" }) }
    return words.first { !names.contains($0) }
  }
}
