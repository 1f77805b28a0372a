import ArgumentParser
import DeepSeekOptimize
import Foundation

/// `deepseek-optimize verify`.
struct VerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Whether an output is still what its run wrote: every file by size and SHA-256.",
    discussion: """
      Compares the files of an output with its report.json, and opens the model. Named are files that are missing, of another size, altered, or not in
      the report; names that begin with a dot are passed over. report.json carries a digest of itself, so that a changed figure is found too. That is
      for damage: whoever changes an output on purpose can write a report that agrees. The last line is the digest of report.json, to note elsewhere.

      Exit status 0 when everything agrees, 65 when something does not, 66 when there is no output, 74 when reading fails.

      EXAMPLES
        deepseek-optimize verify demo-int8
        deepseek-optimize verify demo-int8 --json
      """)

  @Argument(help: ArgumentHelp("The output of a run.", valueName: "directory"), completion: .directory)
  var path: String

  @Flag(help: "Print the result as JSON.")
  var json = false

  @Flag(help: "No progress on standard error.")
  var quiet = false

  func run() throws {
    let verification = try OutputVerification(of: path, progress: ProgressBar.handler(quiet: quiet))
    Terminal.print(
      json
        ? verification.json.text().trimmingCharacters(in: .newlines)
        : VerificationTable(verification).text(width: Terminal.terminalWidth, style: Terminal.outputStyle))
    guard verification.isIntact else {
      throw RecipeError(
        path, verification.summary, remedy: "fetch or make the output again; nothing here says what it held", kind: .badData)
    }
    if !json { Terminal.print("\n\(verification.summary)") }
  }
}
