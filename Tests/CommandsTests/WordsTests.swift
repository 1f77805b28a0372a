import Foundation
import Testing

@testable import Commands

@Suite struct WordsTests {
  @Test(arguments: [
    (["deepseek-quant", "--bits", "4"], "deepseek-quant --bits 4 --resume"),
    (["./q", "--resume", "--bits", "4"], "./q --resume --bits 4"),
    (["q", "--model", "a b", "--output", "it's", "--overwrite"], #"q --model 'a b' --output 'it'\''s' --overwrite --resume"#),
    (["q", "--override", "re:.*\\.q=bits:8", ""], #"q --override 're:.*\.q=bits:8' '' --resume"#),
    (["q", "--", "--resume"], "q --resume -- --resume"), (["q", "$(rm)", "*", "é", "a\nb"], "q '$(rm)' '*' 'é' 'a\nb' --resume"),
  ])
  func whatContinuesIsTheSameCommand(_ arguments: [String], _ line: String) throws {
    #expect(ResumeCommand.line(arguments) == line)
  }

  /// A shell reads the words back as they were.
  @Test func aShellReadsQuotedWordsBack() throws {
    let words = ["plain", "a b", "it's", "$HOME", "`id`", "\\", "", "\"", "re:^(a|b)$", "--x=y", "~", "#", "!", "a;b"]
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", "printf '%s\\n' " + words.map(ResumeCommand.quoted).joined(separator: " ")]
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(output == words.joined(separator: "\n") + "\n")
  }

  @Test(arguments: [
    ("100000", 100_000), ("100k", 100_000), ("1.5M", 1_500_000), ("64Ki", 65_536), ("2B", 2_000_000_000), ("1_000", 1000), ("2.3k", 2300),
    ("0", 0),
    ("-3", -3),
  ])
  func countsAreRead(_ text: String, _ value: Int) { #expect(Count(argument: text)?.value == value) }

  @Test(arguments: ["", "k", "1.5", "1.0001k", "1e30M", "nank", "10 kB", "lots"])
  func whatIsNoCountIsRefused(_ text: String) { #expect(Count(argument: text) == nil) }

  @Test(arguments: [
    ("90", 90.0), ("90s", 90), ("5min", 300), ("1h30m", 5400), ("2d", 172_800), ("1.5h", 5400), ("1h 5min 3s", 3903), ("250ms", 0.25),
  ])
  func timesAreRead(_ text: String, _ seconds: Double) { #expect(TimeSpan(argument: text)?.seconds == seconds) }

  @Test(arguments: ["", "h", "30m1h", "1h2h", "-5", "5y", "1:30", "inf", "nan", "1h30"])
  func whatIsNoTimeIsRefused(_ text: String) { #expect(TimeSpan(argument: text) == nil) }
}
