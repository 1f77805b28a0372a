import Diagnostics
import Foundation
import Testing

@testable import Calibration

@Suite struct DocumentTests {
  private func selection(_ lines: String, windows: Int = 16, length: Int = 8) throws -> CalibrationSelection {
    let file = try TemporaryText(lines, ending: "jsonl")
    return try CalibrationText(contentsOf: file.file)
      .selection(CalibrationSettings(windows: windows, sequenceLength: length), tokenize: byteTokens) { _ in [] }
  }

  private func texts(_ lines: String) throws -> [String] { try selection(lines).windows.map { text(of: $0) }.sorted() }

  @Test func documentsGiveTheirOwnWindows() throws {
    #expect(try texts("{\"text\": \"aaaabbbbccccdddd\"}\n{\"text\": \"11112222\", \"id\": 3}") == ["11112222", "aaaabbbb", "ccccdddd"])
  }

  /// Line ends of either kind, blank lines, and none at the end.
  @Test func lineEnds() throws {
    let expected = ["11112222", "aaaabbbb"]
    #expect(try texts("{\"text\": \"aaaabbbb\"}\r\n{\"text\": \"11112222\"}\r\n") == expected)
    #expect(try texts("\n{\"text\": \"aaaabbbb\"}\n \t\r\n\n{\"text\": \"11112222\"}") == expected)
  }

  @Test func shortDocumentsAreJoined() throws {
    #expect(try texts("{\"text\": \"abc\"}\n{\"text\": \"def\"}\n{\"text\": \"ghijk\"}\n{\"text\": \"\"}") == ["abcdefgh"])
  }

  @Test func conversationsAndCompletions() throws {
    #expect(try texts("{\"prompt\": \"2 + 2 = \", \"completion\": \"4.......\"}") == ["2 + 2 = ", "4......."].sorted())
    let chat = try selection(
      "{\"messages\": [{\"role\": \"user\", \"content\": \"Hey\"}, {\"role\": \"assistant\", \"content\": \"Yes\"}]}")
    #expect(chat.windows.map { text(of: $0) } == ["Hey\n\nYes"])
    #expect(chat.warnings.contains { $0.contains("chat template") })
    #expect(try !selection("{\"text\": \"aaaabbbb\"}").warnings.contains { $0.contains("chat template") })
  }

  @Test(arguments: [
    ("{\"text\": \"aaaabbbb\"}\n\n{\"text\": ", 3, "is not JSON"), ("{\"text\": 7}", 1, "has no string"), ("[1]\n", 1, "has no string"),
    ("{\"text\": \"aaaabbbb\"}\r\n{\"body\": \"x\"}\r\n", 2, "has no string"), ("{\"prompt\": \"x\"}", 1, "has no string"),
    ("{\"messages\": [{\"role\": \"user\"}]}", 1, "has no string"), ("{\"text\": \"\\ud800\"}", 1, "is not JSON"),
    ("{\"text\": \"a\"} {\"text\": \"b\"}", 1, "is not JSON"),
  ])
  func whatIsNoDocumentIsNamed(_ lines: String, _ line: Int, _ problem: String) throws {
    let error = try #require(throws: CalibrationError.self) { try selection(lines) }
    #expect(error.kind.rawValue == 65)
    #expect(error.subject.hasSuffix(".jsonl, line \(line)"))
    #expect(error.problem.hasPrefix(problem))
  }

  /// Lines are found whole wherever a piece begins or ends, each once.
  @Test(arguments: [1, 7, 20, 21, 22, 23, 64, 1000])
  func everyLineBelongsToOnePiece(_ size: Int) throws {
    let file = try TemporaryText((0..<40).map { "{\"text\": \"line \($0)\"}" }.joined(separator: "\n"), ending: "jsonl")
    let pieces = try FilePieces(file.file)
    let lines = DocumentLines(pieces: pieces, bounds: 0..<pieces.size)
    let found = try stride(from: 0, to: pieces.size, by: size).flatMap { start in
      try lines.lines(startingIn: start..<start + size).map { try lines.text(of: $0).text }
    }
    #expect(found == (0..<40).map { "line \($0)" })
  }

  @Test func aHugeLineIsReadAndALongerOneIsRefused() throws {
    let document = String(repeating: "0123456789abcdef", count: 200_000)
    let file = try TemporaryText("{\"text\": \"short\"}\n{\"text\": \"\(document)\"}\n", ending: "jsonl")
    let pieces = try FilePieces(file.file)
    var lines = DocumentLines(pieces: pieces, bounds: 0..<pieces.size)
    let found = try lines.lines(startingIn: 0..<64)
    #expect(found.count == 2)
    #expect(try lines.text(of: found[1]).text == document)
    lines.longestLine = 1 << 20
    let error = try #require(throws: CalibrationError.self) { try lines.lines(startingIn: 0..<64) }
    #expect(error.kind.rawValue == 65)
    #expect(error.subject.hasSuffix("line 2"))
  }

  /// A document that is read in several pieces, or of which one stretch is taken, starts once or not at all.
  @Test(arguments: [(1, 700_000, 16), (400, 6_000, 8)])
  func onlyBeginningsStartDocuments(_ documents: Int, _ length: Int, _ windows: Int) throws {
    let lines = (0..<documents).map { document in
      "{\"text\": \"<" + (0..<length / 8).map { "w\(document * 7919 + $0 * 31) " }.joined() + "\"}"
    }
    let file = try TemporaryText(lines.joined(separator: "\n"), ending: "jsonl")
    var (pieces, starts) = (0, 0)
    let settings = CalibrationSettings(windows: 4 * windows, sequenceLength: 64)
    _ = try CalibrationText(contentsOf: file.file).selection(settings) { text, isStart in
      #expect(text.hasPrefix("<") == isStart)
      pieces += 1
      if isStart { starts += 1 }
      return byteTokens(text)
    } grade: { _ in
      []
    }
    #expect(pieces > starts)
    #expect(starts <= documents)
    // Plain text starts anywhere.
    let plain = try TemporaryText(lines.joined(separator: "\n"))
    _ = try CalibrationText(contentsOf: plain.file).selection(settings) { text, isStart in
      #expect(!isStart)
      return byteTokens(text)
    } grade: { _ in
      []
    }
  }

  /// Of a huge document among small ones not more than a stretch is taken while there is plenty.
  @Test func aLongDocumentDoesNotCrowdOutTheOthers() throws {
    let huge = String(repeating: "X", count: 1) + (0..<60_000).map { "x\($0)" }.joined()
    let small = (0..<3000).map { "{\"text\": \"document number \($0) says that \($0 * 7919 % 10007) is its lot, and no more\"}" }
    let file = try TemporaryText((small + ["{\"text\": \"\(huge)\"}"]).joined(separator: "\n"), ending: "jsonl")
    let selection = try CalibrationText(contentsOf: file.file)
      .selection(CalibrationSettings(windows: 64, sequenceLength: 32), tokenize: byteTokens) { _ in [] }
    #expect(selection.windows.count == 64)
    #expect(selection.windows.filter { text(of: $0).contains("x") }.count <= 10)
  }
}
