import ArgumentParser
import DeepSeekOptimize
import Foundation

/// Runs a command and turns whatever it throws into one line on standard error and an exit status.
public enum EntryPoint {
  /// The command that an executable of this name is: a release has one file for all of them, and a link for each name.
  public static func command(named name: String) -> any ParsableCommand.Type {
    let commands: [any ParsableCommand.Type] = [QuantCommand.self, FinetuneCommand.self]
    let base = name.split(separator: "/").last.map(String.init)
    return commands.first { $0._commandName == base } ?? OptimizeCommand.self
  }

  public static func run(_ command: any ParsableCommand.Type) -> Never {
    // A reader that goes away (`… | head`) is an error to report, not a signal to die from.
    signal(SIGPIPE, SIG_IGN)
    // So is a limit on file sizes: writing then fails, and what was begun is cleared away.
    signal(SIGXFSZ, SIG_IGN)
    for number in [SIGINT, SIGTERM] { installStop(number) }
    do {
      var parsed = try command.parseAsRoot()
      try parsed.run()
      if Terminal.outputError != 0 {
        Terminal.printError("error: standard output: cannot be written: \(String(cString: strerror(Terminal.outputError)))")
        exit(FailureKind.inputOutput.rawValue)
      }
      exit(0)
    } catch let failure as any Failure {
      Terminal.printError("error: \(failure)")
      exit(failure.kind.rawValue)
    } catch let status as ExitCode {
      exit(status.rawValue)
    } catch {
      finish(error, of: command)
    }
  }

  /// The first signal asks for a clean stop; the second one ends the process as it always would.
  private static func installStop(_ number: Int32) {
    signal(number) { number in
      Interruption.request()
      signal(number, SIG_DFL)
    }
  }

  /// Help and version go to standard output as the parser wrote them; a mistake becomes one line.
  private static func finish(_ error: any Error, of command: any ParsableCommand.Type) -> Never {
    let code = command.exitCode(for: error)
    guard code != .success else {
      Terminal.print(command.message(for: error))
      exit(0)
    }
    // The parser lists accepted values, then adds usage and hints, each on lines of their own: what stands before usage says what is wrong.
    let lines = command.message(for: error).split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
    var line = lines.prefix { !$0.hasPrefix("Usage:") && !$0.hasPrefix("See ") }.joined(separator: " ")
    line = line.replacingOccurrences(of: ": - ", with: ": ").replacingOccurrences(of: " - ", with: ", ")
    if line.isEmpty { line = "\(error)" }
    if line.hasPrefix("Error: ") { line = String(line.dropFirst(7)) }
    Terminal.printError("error: \(line); see \(command._commandName) --help")
    exit(FailureKind.usage.rawValue)
  }
}
