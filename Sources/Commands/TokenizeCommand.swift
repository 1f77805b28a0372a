import ArgumentParser
import DeepSeekOptimize
import Foundation

/// `deepseek-optimize tokenize`.
struct TokenizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenize",
    abstract: "The token ids of a text, as evaluation sees them: one line of numbers a line of input.",
    discussion: """
      EXAMPLES
        echo "The lighthouse" | deepseek-optimize tokenize --model demo
        deepseek-optimize tokenize --model M --file text.txt --json
        deepseek-optimize tokenize --model M --file text.txt --whole
      """)

  @OptionGroup var model: ModelOption

  @Argument(help: "The text, when it is given neither by --file nor on standard input.")
  var text: String?

  @Option(help: "Read the text from a file.", completion: .file())
  var file: String?

  @Flag(help: "Take the input as one text, line ends included.")
  var whole = false

  @Flag(help: "Leave out the special tokens that the tokenizer adds.")
  var noSpecialTokens = false

  @Flag(help: "Print a JSON array of arrays of ids.")
  var json = false

  func run() throws {
    let tokenizer = try ModelBundle.tokenizer(of: model.model)
    let input: String
    if let text {
      input = text
    } else if let file {
      input = try TextFile.read(URL(fileURLWithPath: file))
    } else {
      // Waiting for input there is nothing to clear away: a signal ends the process.
      for number in [SIGINT, SIGTERM] { signal(number, SIG_DFL) }
      guard let read = String(validating: FileHandle.standardInput.readDataToEndOfFile(), as: UTF8.self) else {
        throw RecipeError("standard input", "is not UTF-8 text", remedy: "convert it to UTF-8", kind: .badData)
      }
      input = read
    }
    let rows = lines(of: input).map { tokenizer.encode($0, addSpecialTokens: !noSpecialTokens) }
    if json {
      Terminal.print(JSONValue.array(rows.map { .array($0.map { .integer(Int64($0)) }) }).text(pretty: false))
    } else {
      Terminal.print(rows.map { $0.map(String.init).joined(separator: " ") }.joined(separator: "\n"))
    }
  }

  /// Cut at line feeds only; a last line feed ends the last line and starts none.
  private func lines(of input: String) -> [String] {
    if whole { return [input] }
    var pieces = input.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    if pieces.last?.isEmpty == true { pieces.removeLast() }
    return pieces.map { String(decoding: $0, as: UTF8.self) }
  }
}
