import ArgumentParser
import CMemory
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
    // And a page of an input that cannot be read.
    MappedRanges.reportFaults()
    // And memory that is not to be had.
    dso_report_exhaustion(FailureKind.inputOutput.rawValue)
    for number in [SIGINT, SIGTERM] { installStop(number) }
    // Who starts the command may have blocked them, and what is blocked is inherited.
    var stops = sigset_t()
    sigemptyset(&stops)
    for number in [SIGINT, SIGTERM] { sigaddset(&stops, number) }
    pthread_sigmask(SIG_UNBLOCK, &stops, nil)
    let command = CompletionScript.isAsked(by: CommandLine.arguments) ? CompletionScript.source(of: command) : command
    do {
      try Launch.begin()
      if let word = CommandPath(of: command, CommandLine.arguments).unknownHelp { throw ValidationError("Unexpected argument '\(word)'") }
      // Shells offer `help` behind every command: one without subcommands is asked for its own.
      let asksHelp = command.configuration.subcommands.isEmpty && CommandLine.arguments.dropFirst() == ["help"]
      var parsed = try command.parseAsRoot(asksHelp ? ["--help"] : nil)
      if let long = parsed as? any LongCommand { try long.longRun.begin(name(of: parsed)) }
      try parsed.run()
      if Terminal.outputError != 0 {
        Launch.end(
          FailureKind.inputOutput.rawValue,
          saying: "error: standard output: cannot be written: \(String(cString: strerror(Terminal.outputError)))")
      }
      Launch.end(0)
    } catch let stop as StoppedFailure {
      Launch.end(stop.kind.rawValue, saying: "error: \(text(of: stop))", isAgreed: true)
    } catch let failure as any Failure {
      Launch.end(failure.kind.rawValue, saying: "error: \(failure)\(PathSuggestion.hint(for: failure))")
    } catch let status as ExitCode {
      Launch.end(status.rawValue)
    } catch {
      finish(error, of: command)
    }
  }

  /// What metrics call it: `quant`, `train`.
  private static func name(of parsed: any ParsableCommand) -> String {
    let name = type(of: parsed).configuration.commandName ?? "\(type(of: parsed))"
    return name.hasPrefix("deepseek-") ? String(name.dropFirst("deepseek-".count)) : name
  }

  /// The first signal asks for a clean stop; the second one ends the process as it always would.
  private static func installStop(_ number: Int32) {
    signal(number) { number in
      Interruption.request()
      signal(number, SIG_DFL)
    }
  }

  /// Where a run can go on, the command that does; a run that was to go on from an earlier one still can.
  private static func text(of stop: StoppedFailure) -> String {
    let arguments = CommandLine.arguments
    let wasResuming = arguments.prefix { $0 != "--" }.contains(ResumeCommand.flag)
    guard stop.isResumable || wasResuming else {
      return "stopped before the end; nothing is kept that --resume could continue: run the same command again"
    }
    return "stopped before the end; what was done is kept. To continue: \(ResumeCommand.line(arguments))"
  }

  /// Help and version go to standard output as the parser wrote them; a mistake becomes one line.
  private static func finish(_ error: any Error, of command: any ParsableCommand.Type) -> Never {
    let code = command.exitCode(for: error)
    guard code != .success else {
      let text = command.message(for: error)
      Terminal.print(CompletionScript.isAsked(by: CommandLine.arguments) ? CompletionScript.offeringDemo(text) : text)
      Launch.end(0)
    }
    // The parser lists accepted values, then adds usage and hints, each on lines of their own: what stands before usage says what is wrong.
    let lines = command.message(for: error).split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }
    var line = lines.prefix { !$0.hasPrefix("Usage:") && !$0.hasPrefix("See ") }.joined(separator: " ")
    line = line.replacingOccurrences(of: ": - ", with: ": ").replacingOccurrences(of: " - ", with: ", ")
    if line.isEmpty { line = "\(error)" }
    if line.hasPrefix("Error: ") { line = String(line.dropFirst(7)) }
    // What has a list of values shows it, what has a form of its own says so: numbers are left.
    if line.contains("is invalid for"), line.hasSuffix(">'") { line += ": write a number" }
    let mistake = UsageSuggestion.mistake(line, of: command, CommandLine.arguments)
    var text = mistake.text.hasSuffix(".") ? String(mistake.text.dropLast()) : mistake.text
    let help = "\(CommandPath(of: command, CommandLine.arguments).name) --help"
    text += mistake.hint.map { "; did you mean '\($0)'? See \(help)" } ?? "; see \(help)"
    Launch.end(FailureKind.usage.rawValue, saying: "error: \(text.printable)")
  }
}
