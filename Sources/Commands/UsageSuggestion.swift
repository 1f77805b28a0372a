import ArgumentParser
import DeepSeekOptimize
import Foundation

/// What somebody may have meant by a word on the command line that is none of those it can be.
enum UsageSuggestion {
  /// A mistake as it is told: what is wrong, and what may have been meant.
  struct Mistake: Equatable {
    var text: String
    var hint: String?
  }

  /// - Parameters:
  ///   - message: what the parser found wrong, in one line.
  ///   - arguments: as the process got them.
  /// - Returns: the same, or what is behind it; without a hint where nothing is near.
  static func mistake(_ message: String, of command: any ParsableCommand.Type, _ arguments: [String]) -> Mistake {
    // The parser has suggestions of its own: "Unknown option '--a'. Did you mean '--b'?"
    if let own = message.range(of: ". Did you mean '"), message.hasSuffix("'?") {
      return Mistake(text: String(message[..<own.lowerBound]), hint: String(message[own.upperBound...].dropLast(2)))
    }
    let path = CommandPath(of: command, arguments)
    if message.contains("Missing expected argument"), path.strayWord == nil, let word = path.unknownOption {
      // What is missing was given under another name, or is missing because the word behind such a name went astray.
      return Mistake(text: "Unknown option '\(word)'", hint: NameSuggestion.nearest(to: word, among: path.options.sorted()))
    }
    return Mistake(text: message, hint: hint(for: message, path))
  }

  private static func hint(for message: String, _ path: CommandPath) -> String? {
    guard !message.contains("did you mean") else { return nil }
    if ["Unexpected argument", "Missing expected argument", "unexpected argument"].contains(where: message.contains) {
      // The first word of a command that has subcommands is the name of one; what it is taken for otherwise lacks something.
      return path.strayWord.flatMap { NameSuggestion.nearest(to: $0, among: path.subcommands) }
    }
    guard message.contains("is invalid for"), let word = quotes(message).first else { return nil }
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
