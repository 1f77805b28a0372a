import StructuredData
import Testing

@testable import Formats

@Suite("Tokenizers agree with the reference library")
struct TokenizerGoldenTests {
  @Test(arguments: TokenizerFixtures.shapes)
  func encodesAndDecodes(_ shape: String) throws {
    let tokenizer = try TokenizerFixtures.tokenizer(shape)
    let expected = try #require(TokenizerFixtures.cases("shapes")[shape])
    #expect(tokenizer.vocabularySize == expected["size"]?.integer)
    let rows = try #require(expected["rows"]?.array)
    #expect(rows.count >= 30)
    for row in rows {
      let columns = try #require(row.array)
      let text = try #require(columns[0].string)
      let ids = try #require(columns[1].ids)
      #expect(tokenizer.encode(text) == ids, "\(text.debugDescription)")
      #expect(tokenizer.encode(text, addSpecialTokens: false) == columns[2].ids ?? ids, "\(text.debugDescription)")
      #expect(sameBytes(tokenizer.decode(ids), columns[3].string), "\(text.debugDescription)")
      #expect(sameBytes(tokenizer.decode(ids, skipSpecialTokens: false), columns[4].string), "\(text.debugDescription)")
    }
  }

  @Test func splitsAsEachPreTokenizer() throws {
    let cases = try #require(TokenizerFixtures.cases("pretokenizers").array)
    #expect(cases.count >= 150)
    for entry in cases {
      let columns = try #require(entry.array)
      let stages = try TokenizerComponent(columns[0], file: "cases.json", path: "").preTokenizers()
      for pair in try #require(columns[1].array) {
        let text = try #require(pair.array?[0].string)
        let expected = try #require(pair.array?[1].strings)
        let pieces = Self.pieces(of: text, stages)
        #expect(zip(pieces, expected).allSatisfy { sameBytes($0, $1) } && pieces.count == expected.count, "\(columns[0]) \(pieces)")
      }
    }
  }

  @Test func changesTextAsEachNormalizer() throws {
    let cases = try #require(TokenizerFixtures.cases("normalizers").array)
    #expect(cases.count >= 15)
    for entry in cases {
      let columns = try #require(entry.array)
      let normalizers = try TokenizerComponent(columns[0], file: "cases.json", path: "").normalizers()
      for pair in try #require(columns[1].array) {
        var text = NormalizedText(bytes: Array(try #require(pair.array?[0].string).utf8), startLength: 1)
        for normalizer in normalizers { normalizer.normalize(&text, with: PatternScratch()) }
        #expect(text.bytes == Array(try #require(pair.array?[1].string).utf8), "\(columns[0])")
      }
    }
  }

  /// Runs pre-tokenizers as `Tokenizer` does and collects the last pieces.
  static func pieces(of text: String, _ stages: [any PreTokenizer]) -> [String] {
    let scratch = PatternScratch()
    var result: [String] = []
    func run(_ piece: TextPiece, _ stage: Int) {
      if piece.bytes.isEmpty { return }
      if stage == stages.count {
        result.append(String(decoding: piece.bytes, as: UTF8.self))
      } else {
        stages[stage].split(piece, with: scratch) { run($0, stage + 1) }
      }
    }
    Array(text.utf8).withUnsafeBufferPointer { bytes in
      run(TextPiece(bytes: bytes, startLength: bytes.isEmpty ? 0 : bytes.scalar(at: 0).length), 0)
    }
    return result
  }

  @Test(arguments: TokenizerFixtures.shapes)
  func streamsWhatItDecodes(_ shape: String) throws {
    let tokenizer = try TokenizerFixtures.tokenizer(shape)
    let rows = try #require(TokenizerFixtures.cases("shapes")[shape]?["rows"]?.array)
    for row in rows {
      let ids = try #require(row.array?[1].ids)
      var decoder = tokenizer.makeStreamDecoder()
      var text = ids.map { decoder.append($0) }.joined()
      text += decoder.finish()
      #expect(sameBytes(text, tokenizer.decode(ids)))
    }
  }

  @Test func streamHoldsIncompleteCharactersBack() throws {
    let tokenizer = try TokenizerFixtures.tokenizer("qwen-2")
    let ids = tokenizer.encode("\u{1F980}")
    try #require(ids.count > 1)
    var decoder = tokenizer.makeStreamDecoder()
    for id in ids.dropLast() { #expect(decoder.append(id).isEmpty) }
    #expect(decoder.append(try #require(ids.last)) == "\u{1F980}")
    var cut = tokenizer.makeStreamDecoder()
    #expect(cut.append(ids[0]).isEmpty)
    #expect(cut.finish() == "\u{FFFD}")
  }
}
