import ArgumentParser
import DeepSeekOptimize
import Foundation

/// What somebody may have meant by a word on the command line that is none of those it can be.
enum UsageSuggestion {
  /// - Parameters:
  ///   - message: what the parser found wrong, in one line.
  ///   - arguments: as the process got them.
  /// - Returns: nil where nothing is near, or the parser has a suggestion of its own.
  static func hint(for message: String, of command: any ParsableCommand.Type, _ arguments: [String]) -> String? {
    guard !message.contains("Did you mean"), !message.contains("did you mean") else { return nil }
    let quoted = quotes(message)
    guard let word = quoted.first else { return nil }
    if message.hasPrefix("Unexpected argument") || message.hasPrefix("Unexpected arguments") || message.contains(" unexpected argument") {
      // The first word of a command that has subcommands is the name of one.
      guard let place = arguments.firstIndex(of: word), place > 0 else { return nil }
      return NameSuggestion.nearest(to: word, among: subcommands(of: command, below: Array(arguments[1..<place])))
    }
    guard message.contains("is invalid for") else { return nil }
    // 'WORD' is invalid for '--flag <value>'. Please provide one of 'this', 'that' and 'those'.
    return NameSuggestion.nearest(to: word, among: Set(accepted(in: message)).subtracting([word]).sorted())
  }

  /// What stands in single quotes.
  private static func quotes(_ message: String) -> [String] {
    message.split(separator: "'", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }
  }

  /// The values that the parser lists behind what is wrong.
  private static func accepted(in message: String) -> [String] {
    guard let start = message.range(of: "Please provide one of") else { return [] }
    let list = String(message[start.upperBound...])
    let found = quotes(list)
    guard found.isEmpty else { return found }
    return list.split { ":, ".contains($0) }.map { $0.trimmingCharacters(in: .punctuationCharacters) }
  }

  private static func subcommands(of command: any ParsableCommand.Type, below path: [String]) -> [String] {
    var current = command
    for name in path {
      guard let next = current.configuration.subcommands.first(where: { $0._commandName == name }) else { break }
      current = next
    }
    return current.configuration.subcommands.map { $0._commandName }
  }
}

/// What is near a path that does not exist.
enum PathSuggestion {
  /// Entries of a directory that are compared.
  private static let most = 10_000

  /// Text to put behind a failure: empty where no input is missing, or nothing is near.
  static func hint(for failure: any Failure) -> String {
    guard failure.kind == .missingInput, !failure.subject.isEmpty,
      !FileManager.default.fileExists(atPath: failure.subject)
    else { return "" }
    // As it was typed, where it was: failures tell whole paths.
    let typed = CommandLine.arguments.dropFirst().first { URL(fileURLWithPath: $0).path == failure.subject }
    return nearest(to: typed ?? failure.subject).map { "; did you mean '\($0.printable)'?" } ?? ""
  }

  /// The entry that is nearest to the path's last part, beside which it is looked for.
  static func nearest(to path: String) -> String? {
    let url = URL(fileURLWithPath: path)
    let name = url.lastPathComponent
    let parent = url.deletingLastPathComponent()
    let entries = ((try? FileManager.default.contentsOfDirectory(atPath: parent.path)) ?? []).prefix(most).filter { !$0.hasPrefix(".") }
    let isBare = !path.contains("/")
    guard let near = NameSuggestion.nearest(to: name, among: entries.sorted() + (isBare ? [DemoModel.name] : [])), near != name else {
      return nil
    }
    return isBare ? near : String(path.dropLast(path.hasSuffix("/") ? name.count + 1 : name.count)) + near
  }
}
