import Diagnostics
import Foundation
import Tensors
import Testing

@testable import Calibration

@Suite struct ReadingTests {
  private func refusal(_ bytes: [UInt8], ending: String = "txt") throws -> CalibrationError {
    let text = try TemporaryText(bytes: bytes, ending: ending)
    return try #require(throws: CalibrationError.self) {
      try CalibrationText(contentsOf: text.file).selection(CalibrationSettings(windows: 4, sequenceLength: 4), tokenize: byteTokens) { _ in
        []
      }
    }
  }

  @Test func aMissingFileAndADirectory() throws {
    let missing = try #require(throws: CalibrationError.self) { try CalibrationText(contentsOf: URL(fileURLWithPath: "/nowhere/text.txt")) }
    #expect(missing.kind.rawValue == 66)
    #expect(missing.subject == "/nowhere/text.txt")
    let directory = try #require(throws: CalibrationError.self) {
      try CalibrationText(contentsOf: FileManager.default.temporaryDirectory)
    }
    #expect(directory.kind == .missingInput)
  }

  @Test func emptyFiles() throws {
    #expect(try refusal([]).problem == "is empty")
    #expect(try refusal([0xEF, 0xBB, 0xBF]).problem == "is empty")
    let blank = try refusal(Array("\n\r\n  \n".utf8), ending: "jsonl")
    #expect(blank.kind.rawValue == 65)
    #expect(blank.problem.contains("0 distinct windows of 4 tokens"))
    #expect(try refusal(Array("{}".utf8), ending: "json").kind == .usage)
  }

  @Test func bytesThatAreNotUTF8NameTheLine() throws {
    let error = try refusal(Array("one\ntwo\nthr".utf8) + [0xFF] + Array("ee\n".utf8))
    #expect(error.kind.rawValue == 65)
    #expect(error.subject.hasSuffix("line 3"))
    // A character that never ends.
    #expect(try refusal(Array("one\ntwo ".utf8) + [0xE4, 0xBD]).subject.hasSuffix("line 2"))
    // A surrogate, and a byte that only continues.
    #expect(try refusal([0xED, 0xA0, 0x80]).subject.hasSuffix("line 1"))
    #expect(try refusal([0x80]).subject.hasSuffix("line 1"))
  }

  /// Characters that the pieces of a reading break in two are whole, and a fault behind a million bytes is found.
  @Test(arguments: 0..<4)
  func charactersAcrossPieces(_ shift: Int) throws {
    let filler = Array(repeating: UInt8(ascii: "a"), count: FilePieces.pieceSize - 4 + shift)
    let good = filler + Array("\u{1F600}\n\u{4F60}".utf8)
    let text = try TemporaryText(bytes: good)
    let opened = try CalibrationText(contentsOf: text.file)
    var digest = ContentDigest()
    good.withUnsafeBytes { digest.update($0) }
    #expect(opened.digest == digest.hexadecimal())
    #expect(try refusal(good + [0xC3]).subject.hasSuffix("line 2"))
    #expect(try refusal(filler + [0xF0, 0x9F, 0x98, 0x0A]).subject.hasSuffix("line 1"))
  }

  @Test func aByteOrderMarkIsNoText() throws {
    let file = try TemporaryText(bytes: [0xEF, 0xBB, 0xBF] + Array("abcd".utf8))
    let selection = try CalibrationText(contentsOf: file.file)
      .selection(CalibrationSettings(windows: 1, sequenceLength: 4), tokenize: byteTokens) { _ in [] }
    #expect(selection.windows.map { text(of: $0) } == ["abcd"])
  }

  /// Pieces cover every byte once and begin where lines, words or characters do.
  @Test(arguments: ["a line of text\n", "word ", "nothing-but-letters", "\u{4F60}\u{597D}", "\u{1F600}"], [64, 100, 1000])
  func piecesCoverTheText(_ unit: String, _ size: Int) throws {
    let bytes = Array(String(repeating: unit, count: 5000 / unit.utf8.count).utf8)
    let cut = TextCut(0..<bytes.count, size: size)
    let pieces = (0..<cut.count).map { index in Array(cut.piece(index) { Array(bytes[$0]) }) }
    #expect(Array(pieces.joined()) == bytes)
    for piece in pieces.dropFirst() where !piece.isEmpty {
      #expect(String(validating: piece, as: UTF8.self) != nil)
      if unit.hasSuffix("\n") { #expect(piece.starts(with: Array("a line".utf8))) }
      if unit == "word " { #expect(piece.first == UInt8(ascii: " ")) }
    }
  }
}
