import Diagnostics
import Foundation
import StructuredData
import Testing

@testable import Formats

/// Models of SentencePiece against the library's own ids (make-sentencepiece-fixtures.py).
@Suite struct SentencePieceTests {
  private static let folder =
    Bundle.module.resourceURL?.appendingPathComponent("SentencePieceFixtures") ?? URL(fileURLWithPath: "SentencePieceFixtures")

  private static func json(_ name: String) throws -> JSONValue {
    let bytes = try Data(contentsOf: folder.appendingPathComponent("\(name).model"))
    return try SentencePieceModel(Array(bytes), named: name).json()
  }

  @Test(arguments: ["bytes", "plain"])
  func encodesAndDecodesAsTheLibrary(_ name: String) throws {
    let tokenizer = try Tokenizer(json: Self.json(name), named: name)
    let cases = try JSONValue(parsing: String(contentsOf: Self.folder.appendingPathComponent("cases.json"), encoding: .utf8))
    let rows = try #require(cases[name]?.array)
    #expect(rows.count >= 13)
    for row in rows {
      let text = try #require(row.array?[0].string)
      let ids = try #require(row.array?[1].array).compactMap(\.integer).map { Int32($0) }
      #expect(tokenizer.encode(text, addSpecialTokens: false) == ids, "\(text.debugDescription)")
      if name == "bytes" { #expect(tokenizer.decode(ids) == text) }
    }
    // <s> is what such models begin with.
    #expect(tokenizer.encode("a").first == tokenizer.id(of: "<s>"))
  }

  @Test(arguments: ["unigram", "normalized", "suffixed", "user-defined"])
  func otherKindsAreRefused(_ name: String) {
    let error = #expect(throws: TokenizerError.self) { try Self.json(name) }
    #expect(error?.kind == .badData && error?.problem.contains("is not supported") == true)
  }

  @Test func damagedModelsAreRefusedOrRead() throws {
    let bytes = Array(try Data(contentsOf: Self.folder.appendingPathComponent("plain.model")))
    for length in stride(from: 0, to: bytes.count - 400, by: 97) {
      do {
        _ = try SentencePieceModel(Array(bytes[..<length]), named: "cut")
        Issue.record("\(length) bytes were taken for a model")
      } catch { #expect(error.kind == .badData) }
    }
    for offset in stride(from: 0, to: bytes.count, by: 3) {
      var damaged = bytes
      damaged[offset] ^= 0xA5
      do throws(TokenizerError) { _ = try Tokenizer(json: SentencePieceModel(damaged, named: "damaged").json(), named: "damaged") } catch {
        #expect(error.kind == .badData, "\(offset): \(error)")
      }
    }
  }

  /// Pieces a…ab…b: each is put together from two others in as many ways as it has letters, far more in all than the file has bytes.
  @Test func piecesThatAreMadeOfOneAnotherAreRefused() throws {
    let longest = 190
    var pieces = (0...255).map { SentencePieceModel.Piece(text: "<0x\($0)>", kind: .byte) }
    for a in 0...longest {
      for b in 0...longest - a where a + b > 0 {
        pieces.append(.init(text: String(repeating: "a", count: a) + String(repeating: "b", count: b)))
      }
    }
    let error = #expect(throws: TokenizerError.self) {
      try SentencePieceModel(pieces, fallsBackToBytes: true, addsPrefix: true, named: "bomb.model").json()
    }
    #expect(error?.kind == .badData && error?.problem.contains("in more than 1048576 ways") == true)
  }

  @Test func aDirectoryWithoutTokenizerJSONIsRead() throws {
    let place = FileManager.default.temporaryDirectory.appendingPathComponent("sentencepiece-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: place) }
    let assets = place.appendingPathComponent("assets/tokenizer")
    try FileManager.default.createDirectory(at: assets, withIntermediateDirectories: true)
    #expect(throws: TokenizerError.self) { try Tokenizer(contentsOf: place) }
    // KerasHub's tokenizer.json has the settings of a class of its own.
    try Data("{\"class_name\": \"Llama3Tokenizer\", \"config\": {}}".utf8).write(to: place.appendingPathComponent("tokenizer.json"))
    let letters = ["a", "b", "ab", "<|begin_of_text|>"].enumerated().map { "\"\($1)\": \($0)" }.joined(separator: ", ")
    try Data("{\(letters)}".utf8).write(to: assets.appendingPathComponent("vocabulary.json"))
    try Data("#version: 0.2\r\na b\r\n".utf8).write(to: assets.appendingPathComponent("merges.txt"))
    #expect(try Tokenizer(contentsOf: place).encode("abb") == [3, 2, 1])
    try FileManager.default.copyItem(
      at: Self.folder.appendingPathComponent("bytes.model"), to: assets.appendingPathComponent("vocabulary.spm"))
    #expect(try Tokenizer(contentsOf: place).vocabularySize == 600)
  }
}
