import Diagnostics
import Foundation
import StructuredData
import Testing

@testable import Formats

@Suite("Tokenizer behaviour")
struct TokenizerBehaviourTests {
  @Test func namesTokens() throws {
    let tokenizer = try TokenizerFixtures.tokenizer("deepseek-v3")
    let id = try #require(tokenizer.id(of: "<tool>"))
    #expect(tokenizer.token(for: id) == "<tool>")
    #expect(tokenizer.id(of: "no such token") == nil)
    #expect(tokenizer.token(for: -1) == nil && tokenizer.token(for: .max) == nil)
    #expect(tokenizer.decode([-1, .max, .min]).isEmpty)
  }

  @Test func keepsComposedAndDecomposedTokensApart() throws {
    let vocabulary: JSONValue = ["\u{E9}": 0, "e": 1, "\u{301}": 2, "e\u{301}": 3]
    let json: JSONValue = ["model": ["type": "BPE", "vocab": vocabulary, "merges": [["e", "\u{301}"]]]]
    let tokenizer = try Tokenizer(json: json, named: "t")
    #expect(tokenizer.encode("\u{E9}e\u{301}") == [0, 3])
    #expect(tokenizer.id(of: "\u{E9}") == 0 && tokenizer.id(of: "e\u{301}") == 3)
  }

  @Test func mergesLongWordsInRankOrder() throws {
    let json = TokenizerFixtures.letters("ab", merges: [["a", "a"], ["aa", "aa"], ["a", "b"]])
    let tokenizer = try Tokenizer(json: json, named: "t")
    let id = try #require(tokenizer.id(of: "aaaa"))
    // Quadratic merging would take minutes here.
    #expect(tokenizer.encode(String(repeating: "a", count: 400_000)) == [Int32](repeating: id, count: 100_000))
    #expect(tokenizer.encode("aaab") == [2, 4])
  }

  @Test func dropsWhatHasNoToken() throws {
    let plain = try Tokenizer(json: TokenizerFixtures.letters("ab"), named: "t")
    #expect(plain.encode("a?b\u{1F600}") == [0, 1])
    let marked = TokenizerFixtures.letters("ab?", model: ["unk_token": "?"])
    #expect(try Tokenizer(json: marked, named: "t").encode("axxb") == [0, 2, 2, 1])
    let fused = TokenizerFixtures.letters("ab?", model: ["unk_token": "?", "fuse_unk": true])
    #expect(try Tokenizer(json: fused, named: "t").encode("axxbx") == [0, 2, 1, 2])
    let absent = TokenizerFixtures.letters("ab", model: ["unk_token": "nowhere"])
    #expect(try Tokenizer(json: absent, named: "t").encode("axb") == [0, 1])
  }

  @Test func cachesWithoutChangingResults() throws {
    let tokenizer = try TokenizerFixtures.tokenizer("llama-3")
    let words = (0..<70_000).map { "w\($0)x" }.joined(separator: " ")
    let first = tokenizer.encode(words)
    #expect(tokenizer.encode(words) == first)
    let decoded = tokenizer.decode(first)
    #expect(decoded.utf8.elementsEqual(words.utf8), "\(decoded.utf8.count) bytes")
  }

  @Test func encodesFromSeveralThreadsAtOnce() async throws {
    let tokenizer = try TokenizerFixtures.tokenizer("deepseek-llm")
    let texts = (0..<64).map { "The \($0) lines of text number \($0 * $0), twice." }
    let expected = texts.map { tokenizer.encode($0) }
    let results = await withTaskGroup(of: (Int, [Int32]).self, returning: [Int: [Int32]].self) { group in
      for (index, text) in texts.enumerated() { group.addTask { (index, tokenizer.encode(text)) } }
      return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
    }
    #expect(texts.indices.allSatisfy { results[$0] == expected[$0] })
  }

  @Test func configurationAddsTheMissingBeginning() throws {
    var tokenizer = try TokenizerFixtures.tokenizer("deepseek-v3")
    let plain = tokenizer.encode("text")
    let begin = try #require(tokenizer.id(of: "<|begin|>"))
    tokenizer.apply(configuration: ["add_bos_token": false, "bos_token": "<|begin|>"])
    #expect(tokenizer.encode("text") == plain)
    tokenizer.apply(configuration: ["add_bos_token": true, "bos_token": ["content": "<|begin|>"]])
    #expect(tokenizer.encode("text") == [begin] + plain)
    #expect(tokenizer.encode("text", addSpecialTokens: false) == plain)
    // Where the post-processor adds it, it is not added twice.
    var llama = try TokenizerFixtures.tokenizer("llama-3")
    let ids = llama.encode("text")
    llama.apply(configuration: ["add_bos_token": true, "bos_token": "<|begin|>", "add_eos_token": true, "eos_token": "<|end|>"])
    #expect(llama.encode("text") == ids + [try #require(llama.id(of: "<|end|>"))])
  }

  @Test func readsADirectory() throws {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("tokenizer-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    let missing = #expect(throws: TokenizerError.self) { try Tokenizer(contentsOf: directory) }
    #expect(missing?.kind == .missingInput)
    let file = directory.appendingPathComponent("tokenizer.json")
    try Data(TokenizerFixtures.letters("ab<").text().utf8).write(to: file)
    #expect(try Tokenizer(contentsOf: directory).encode("ab") == [0, 1])
    let configuration = directory.appendingPathComponent("tokenizer_config.json")
    try Data(#"{"add_bos_token": true, "bos_token": "<", "model_max_length": 1e30}"#.utf8).write(to: configuration)
    #expect(try Tokenizer(contentsOf: directory).encode("ab") == [2, 0, 1])
    try Data("{".utf8).write(to: file)
    let broken = #expect(throws: TokenizerError.self) { try Tokenizer(contentsOf: directory) }
    #expect(broken?.kind == .badData)
  }
}
