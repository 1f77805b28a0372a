import Foundation
import StructuredData
import Testing

@testable import Formats

/// Tokenizers said in GGUF's metadata and read back cut text as before.
@Suite struct GGUFTokenizerTests {
  private let scratch: SafeTensorsScratch

  init() throws { scratch = try SafeTensorsScratch() }

  /// The metadata written to a file and read from it.
  private func written(_ metadata: GGUFMetadata) throws -> GGUFMetadata {
    let file = scratch["\(UUID().uuidString).gguf"]
    try GGUFWriter(creating: file, metadata: metadata, tensors: []).finish()
    return try GGUFFile(file).metadata
  }

  private func encode(_ shape: String, size: Int? = nil, configuration: JSONValue = .null) throws -> GGUFTokenizer.Encoded {
    try GGUFTokenizer.encode(tokenizer: fixture(shape), configuration: configuration, vocabularySize: size, named: "\(shape).json")
  }

  /// The fixture; WordPiece with words as long as published models have them.
  private func fixture(_ shape: String) throws -> JSONValue {
    var json = try #require(TokenizerFixtures.json(shape).object)
    var model = try #require(json["model"]?.object)
    if model["max_input_chars_per_word"] != nil { model["max_input_chars_per_word"] = 100 }
    json["model"] = .object(model)
    return .object(json)
  }

  @Test(arguments: [
    ("deepseek-v3", "gpt2", "deepseek-v3"), ("llama-3", "gpt2", "llama-bpe"), ("qwen-2", "gpt2", "qwen2"), ("llama-2", "llama", "default"),
    ("bert", "bert", "default"), ("bert-cased", "bert", "default"),
  ])
  func goesToAndFro(_ shape: String, _ model: String, _ pre: String) throws {
    let encoded = try encode(shape, size: 700)
    let metadata = try written(encoded.metadata)
    #expect(metadata.string("tokenizer.ggml.model") == model && metadata.string("tokenizer.ggml.pre") == pre)
    #expect(metadata.strings("tokenizer.ggml.tokens")?.count == 700)
    #expect(metadata.strings("tokenizer.ggml.tokens")?.last == "[PAD699]")
    #expect(metadata.integers("tokenizer.ggml.token_type")?.last == 5)
    let decoded = try #require(try GGUFTokenizer.decode(metadata, named: "model.gguf"))
    #expect(decoded.notes.isEmpty)
    var tokenizer = try Tokenizer(json: decoded.tokenizer, named: "model.gguf")
    tokenizer.apply(configuration: .object(decoded.configuration))
    let original = try Tokenizer(json: fixture(shape), named: shape)
    // What GGUF cannot say, the notes do.
    let isExact = encoded.notes.isEmpty
    #expect(isExact == !["deepseek-v3", "bert-cased"].contains(shape), "\(encoded.notes)")
    var same = 0
    let rows = try #require(TokenizerFixtures.cases("shapes")[shape]?["rows"]?.array)
    for row in rows {
      let text = try #require(row.array?[0].string)
      let isSame = tokenizer.encode(text) == original.encode(text)
      if isSame { same += 1 }
      #expect(isSame || !isExact, "\(text.debugDescription)")
    }
    #expect(same * 10 >= rows.count * 8, "\(same) of \(rows.count)")
    // Once more: nothing is lost on the way.
    let again = try GGUFTokenizer.encode(
      tokenizer: decoded.tokenizer, configuration: .object(decoded.configuration), vocabularySize: 700, named: "model.gguf")
    for key in ["model", "pre", "tokens", "token_type", "bos_token_id", "add_bos_token", "add_eos_token"] {
      #expect(again.metadata["tokenizer.ggml.\(key)"] == metadata["tokenizer.ggml.\(key)"], "\(key)")
    }
  }

  @Test func specialTokensAndTemplates() throws {
    let configuration: JSONValue = [
      "bos_token": "<|begin|>", "eos_token": ["content": "<|end|>"], "pad_token": "<|pad|>", "add_bos_token": true,
      "chat_template": [["name": "default", "template": "A"], ["name": "tool_use", "template": "B"]],
    ]
    let encoded = try encode("deepseek-v3", configuration: configuration)
    let metadata = try written(encoded.metadata)
    #expect(metadata["tokenizer.ggml.bos_token_id"] == .uint32(0))
    #expect(metadata["tokenizer.ggml.eos_token_id"] == .uint32(1))
    #expect(metadata["tokenizer.ggml.padding_token_id"] == .uint32(2))
    #expect(metadata.bool("tokenizer.ggml.add_bos_token") == true && metadata.bool("tokenizer.ggml.add_eos_token") == false)
    #expect(metadata.string("tokenizer.chat_template") == "A")
    #expect(metadata.strings("tokenizer.chat_templates") == ["tool_use"])
    #expect(metadata.string("tokenizer.chat_template.tool_use") == "B")
    let kinds = try #require(metadata.integers("tokenizer.ggml.token_type"))
    #expect(kinds[0] == 3 && kinds[10] == 1 && kinds[600] == 4)
    let decoded = try #require(try GGUFTokenizer.decode(metadata, named: "model.gguf"))
    #expect(decoded.configuration["bos_token"] == "<|begin|>" && decoded.configuration["add_bos_token"] == true)
    #expect(decoded.configuration["chat_template"] == configuration["chat_template"])
    let tokenizer = try Tokenizer(json: decoded.tokenizer, named: "model.gguf")
    #expect(tokenizer.encode("a").first == 0)
    // The file beside the configuration goes before it; ids of the model's configuration fill what is missing.
    let other = try GGUFTokenizer.encode(
      tokenizer: TokenizerFixtures.json("qwen-2"), configuration: ["chat_template": "old"],
      modelConfiguration: ["eos_token_id": [1, 2], "bos_token_id": 99_999], chatTemplate: "new", named: "qwen-2.json")
    #expect(other.metadata.string("tokenizer.chat_template") == "new")
    #expect(other.metadata["tokenizer.ggml.eos_token_id"] == .uint32(1) && other.metadata["tokenizer.ggml.bos_token_id"] == nil)
  }

  @Test func scoresFallWithTheRanksOfMerges() throws {
    let metadata = try encode("llama-2").metadata
    let tokens = try #require(metadata.strings("tokenizer.ggml.tokens"))
    let scores = try #require(metadata.numbers("tokenizer.ggml.scores"))
    let merges = try #require(TokenizerFixtures.json("llama-2")["model"]?["merges"]?.array)
    for (rank, merge) in merges.enumerated() {
      let text = try #require(merge.strings?.joined() ?? merge.string?.replacing(" ", with: ""))
      let id = try #require(tokens.firstIndex { sameBytes($0, text) })
      #expect(scores[id] >= -Double(rank))
    }
    #expect(metadata.bool("tokenizer.ggml.add_space_prefix") == true)
    let kinds = try #require(metadata.integers("tokenizer.ggml.token_type"))
    #expect(kinds.prefix(3) == [2, 3, 3] && kinds.filter { $0 == 6 }.count == 256)
  }

  @Test func refusesWhatGGUFCannotSay() throws {
    func refusal(_ change: (inout JSONObject) -> Void, of shape: String = "qwen-2") throws -> String {
      var json = try #require(TokenizerFixtures.json(shape).object)
      change(&json)
      return message { _ = try GGUFTokenizer.encode(tokenizer: .object(json), named: "t.json") }
    }
    #expect(try refusal({ _ in }).isEmpty)
    let split: JSONValue = ["type": "Split", "pattern": ["Regex": "x"], "behavior": "Isolated", "invert": false]
    let bytes: JSONValue = ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false]
    let unknown = try refusal { $0["pre_tokenizer"] = ["type": "Sequence", "pretokenizers": [split, bytes]] }
    #expect(unknown.contains("none that llama.cpp has a name for") && unknown.contains("qwen2"))
    #expect(try refusal { $0["normalizer"] = ["type": "Lowercase"] }.contains("\"Lowercase\""))
    #expect(try refusal { $0["pre_tokenizer"] = .null }.contains("neither byte-level nor falls back"))
    #expect(try refusal({ $0["normalizer"] = .null }, of: "llama-2").contains("spaces that stay spaces"))
    #expect(try refusal({ $0["pre_tokenizer"] = ["type": "Whitespace"] }, of: "bert").contains("this pre-tokenizer"))
    for shape in ["metaspace-first", "roberta", "prefixed", "suffixed"] { #expect(!message { _ = try encode(shape) }.isEmpty, "\(shape)") }
  }

  @Test func idsBeyondTheEmbeddingAreLeftOut() throws {
    let encoded = try encode("deepseek-v3", size: 602)
    #expect(encoded.metadata.strings("tokenizer.ggml.tokens")?.count == 602)
    #expect(encoded.notes.contains { $0.contains("4 tokens have ids beyond the 602 rows") })
    #expect(message { _ = try encode("deepseek-v3", size: 1 << 30) }.contains("tokens, not 1 to"))
  }

  @Test func refusesDamagedMetadata() throws {
    func refusal(_ shape: String, _ change: (inout GGUFMetadata) -> Void) throws -> String {
      var metadata = try encode(shape).metadata
      change(&metadata)
      return message {
        guard let decoded = try GGUFTokenizer.decode(metadata, named: "m.gguf") else { return }
        _ = try Tokenizer(json: decoded.tokenizer, named: "m.gguf")
      }
    }
    #expect(try refusal("qwen-2") { $0["tokenizer.ggml.tokens"] = nil }.contains("there are no tokens"))
    #expect(try refusal("qwen-2") { $0["tokenizer.ggml.tokens"] = .strings(["a", "a"]) }.contains("is there twice"))
    #expect(try refusal("qwen-2") { $0["tokenizer.ggml.token_type"] = .int32s([1]) }.contains("there are 1 for"))
    #expect(try refusal("qwen-2") { $0["tokenizer.ggml.merges"] = .strings(["ab"]) }.contains("merge 0 is no pair"))
    #expect(try refusal("qwen-2") { $0["tokenizer.ggml.merges"] = nil }.contains("no merges"))
    #expect(try refusal("qwen-2") { $0["tokenizer.ggml.merges"] = .strings(["zz zz"]) }.contains("merge 0 needs the token"))
    #expect(try refusal("qwen-2") { $0["tokenizer.ggml.pre"] = .string("unheard-of") }.contains("\"unheard-of\""))
    #expect(try refusal("qwen-2") { $0["tokenizer.ggml.model"] = .string("rwkv") }.contains("a tokenizer \"rwkv\""))
    #expect(try refusal("llama-2") { $0["tokenizer.ggml.scores"] = .float32s([1]) }.contains("not as many as tokens"))
    #expect(try refusal("llama-2") { $0["tokenizer.ggml.remove_extra_whitespaces"] = .bool(true) }.contains("the removal of spaces"))
    #expect(try refusal("bert") { $0["tokenizer.ggml.unknown_token_id"] = .uint32(1 << 30) }.contains("no token for what is unknown"))
    #expect(try GGUFTokenizer.decode(GGUFMetadata(), named: "m.gguf") == nil)
  }

  @Test func everyPreTokenizerIsReadAndRecognised() throws {
    for entry in GGUFPreTokenizer.all where entry.names[0] != "default" {
      let component = TokenizerComponent(entry.json, file: "t.json", path: "")
      _ = try component.preTokenizers()
      let splits = try #require(GGUFPreTokenizer.splits(of: entry.json), "\(entry.names[0])")
      let found = try #require(GGUFPreTokenizer.matching(splits, ignoresMerges: entry.ignoresMerges))
      #expect(found.names == entry.names)
    }
    let names = GGUFPreTokenizer.all.flatMap(\.names)
    #expect(Set(names).count == names.count)
  }

  /// Vocabularies of llama.cpp with its own vectors: `NAME.gguf`, `NAME.gguf.inp`, `NAME.gguf.out` in a directory of larger models.
  @Test(.enabled(if: ProcessInfo.processInfo.environment["DEEPSEEK_OPTIMIZE_MODELS"] != nil))
  func agreesWithVectors() throws {
    let directory = URL(fileURLWithPath: ProcessInfo.processInfo.environment["DEEPSEEK_OPTIMIZE_MODELS"] ?? "")
    let names = try FileManager.default.contentsOfDirectory(atPath: directory.path).filter { $0.hasSuffix(".gguf") }.sorted()
    for name in names {
      let file = directory.appendingPathComponent(name)
      guard let inputs = try? String(contentsOf: file.appendingPathExtension("inp"), encoding: .utf8),
        let outputs = try? String(contentsOf: file.appendingPathExtension("out"), encoding: .utf8)
      else { continue }
      let metadata = try GGUFFile(file).metadata
      let decoded = try #require(try GGUFTokenizer.decode(metadata, named: name))
      let tokenizer = try Tokenizer(json: decoded.tokenizer, named: name)
      // And once more through metadata of ours.
      let encoded = try GGUFTokenizer.encode(
        tokenizer: decoded.tokenizer, configuration: .object(decoded.configuration), named: name)
      let again = try Tokenizer(json: try #require(try GGUFTokenizer.decode(encoded.metadata, named: name)).tokenizer, named: name)
      let texts = inputs.components(separatedBy: "\n__ggml_vocab_test__\n").dropLast()
      let lines = outputs.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
      #expect(texts.count == lines.count && !texts.isEmpty)
      for (text, line) in zip(texts, lines) {
        let ids = line.split(separator: " ").compactMap { Int32($0) }
        #expect(tokenizer.encode(text, addSpecialTokens: false) == ids, "\(name) \(text.debugDescription)")
        #expect(again.encode(text, addSpecialTokens: false) == ids, "\(name) \(text.debugDescription)")
      }
    }
  }
}
