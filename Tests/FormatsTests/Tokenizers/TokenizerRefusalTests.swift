import Diagnostics
import StructuredData
import Testing

@testable import Formats

@Suite("Tokenizers that are refused")
struct TokenizerRefusalTests {
  /// A file's member or its model's member set to something wrong, and a word of the message.
  static let refused: [(member: String, value: JSONValue, word: String)] = [
    ("version", "2.0", "version"),
    ("model", .null, "missing"),
    ("model", [], "type"),
    ("model.type", "Unigram", "Unigram"),
    ("model.type", "Unigram", "Unigram"),
    ("model.type", 7, "string"),
    ("model.dropout", 0.1, "dropout"),
    ("model.vocab", [], "vocab"),
    ("model.vocab", ["a": -1], "token id"),
    ("model.vocab", ["a": 2_147_483_648], "token id"),
    ("model.vocab", ["a": 0.5], "token id"),
    ("model.vocab", ["a": "0"], "token id"),
    ("model.merges", .null, "merges"),
    ("model.merges", [["a", "zz"]], "zz"),
    ("model.merges", ["a  b"], "merge"),
    ("model.merges", [["a"]], "merge"),
    ("model.merges", [7], "merge"),
    ("model.continuing_subword_prefix", "###", "shorter"),
    ("model.fuse_unk", 1, "fuse_unk"),
    ("normalizer", ["type": "Precompiled"], "Precompiled"),
    ("normalizer", ["type": "Nmt"], "Nmt"),
    ("normalizer", ["type": "Sequence", "normalizers": [["type": "NFC"], ["prepend": "x"]]], "normalizers[1]"),
    ("normalizer", ["type": "Replace", "pattern": ["Regex": "("], "content": ""], "parenthesis"),
    ("normalizer", ["type": "Replace", "pattern": "x", "content": ""], "pattern"),
    ("pre_tokenizer", ["type": "UnicodeScripts"], "UnicodeScripts"),
    ("pre_tokenizer", ["type": "Split", "pattern": ["Regex": "(a)\\1"], "behavior": "Isolated", "invert": false], "back-reference"),
    ("pre_tokenizer", ["type": "Split", "pattern": ["String": "a"], "behavior": "Dropped", "invert": false], "Dropped"),
    ("pre_tokenizer", ["type": "Split", "pattern": ["String": "a"], "behavior": "Isolated"], "invert"),
    ("pre_tokenizer", ["type": "Metaspace", "replacement": "ab"], "one character"),
    ("pre_tokenizer", ["type": "Metaspace", "replacement": "_", "prepend_scheme": "often"], "often"),
    ("pre_tokenizer", ["type": "Metaspace", "replacement": "_", "add_prefix_space": false], "add_prefix_space"),
    ("decoder", ["type": "CTC"], "CTC"),
    ("decoder", ["type": "Strip", "content": " ", "start": -1, "stop": 0], "count"),
    ("post_processor", ["type": "Unknown"], "Unknown"),
    ("post_processor", ["type": "TemplateProcessing", "single": [["SpecialToken": ["id": "x"]]], "special_tokens": [:]], "\"x\""),
    ("post_processor", ["type": "TemplateProcessing", "single": [["Sequence": ["id": "B"]]], "special_tokens": [:]], "second"),
    ("post_processor", ["type": "BertProcessing", "sep": ["a", 0], "cls": ["b"]], "cls"),
    ("added_tokens", [["content": "x"]], "special"),
    ("added_tokens", ["content": "x"], "array"),
  ]

  @Test(arguments: refused.indices)
  func names(_ index: Int) throws {
    let (member, value, word) = Self.refused[index]
    var file = try #require(TokenizerFixtures.letters("ab", merges: [["a", "b"]]).object)
    if member.hasPrefix("model.") {
      var model = try #require(file["model"]?.object)
      model[String(member.dropFirst(6))] = value
      file["model"] = .object(model)
    } else {
      file[member] = value
    }
    let error = #expect(throws: TokenizerError.self) { try Tokenizer(json: .object(file), named: "DIR/tokenizer.json") }
    #expect(error?.kind == .badData)
    #expect(error?.description.hasPrefix("DIR/tokenizer.json: ") == true)
    #expect(error?.problem.contains(word) == true, "\(error?.description ?? "")")
    #expect(error?.remedy.isEmpty == false)
  }

  /// Whatever replaces a member anywhere in a file, reading it and encoding with it comes to an end without a trap.
  @Test(arguments: TokenizerFixtures.shapes)
  func survivesMutations(_ shape: String) throws {
    var file = try TokenizerFixtures.json(shape)
    // A short vocabulary leaves the structure as most of what there is to change.
    if var root = file.object, var model = root["model"]?.object, let vocabulary = model["vocab"]?.object {
      var short = JSONObject()
      for member in vocabulary.members.prefix(80) { short[member.key] = member.value }
      model["vocab"] = .object(short)
      model["merges"] = .array((model["merges"]?.array ?? []).filter { Self.isInside($0, short) })
      root["model"] = .object(model)
      file = .object(root)
    }
    var random = SplitMix(state: UInt64(shape.utf8.count) * 977)
    var readable = 0
    for _ in 0..<400 {
      let changed = Self.mutated(file, &random)
      guard let tokenizer = try? Tokenizer(json: changed, named: "t") else { continue }
      readable += 1
      let ids = tokenizer.encode(" Ab <|begin|>word\n\u{E9}e\u{301} 12 \u{4E00}")
      _ = tokenizer.decode(ids + [0, 1, 2, -5, .max], skipSpecialTokens: false)
    }
    #expect(readable > 10)
  }

  private static func isInside(_ merge: JSONValue, _ vocabulary: JSONObject) -> Bool {
    let parts = merge.strings ?? merge.string.map { $0.split(separator: " ").map(String.init) } ?? []
    return (parts + [parts.joined()]).allSatisfy { vocabulary[$0] != nil }
  }

  private struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
  }

  private static let replacements: [JSONValue] = [
    .null, true, false, 0, 1, -1, 3, 2_147_483_647, 4_294_967_296, 0.5, "", " ", "a", "\u{301}", "Sequence", "[a-", "(?i)x", "\\p{L}+",
    [], ["a", "b"], [:], ["String": ""], ["Regex": ""], ["Regex": "\\s*"], ["Regex": "(a|b)*?"], ["type": "Fuse"],
    ["type": "Strip", "content": " ", "start": 9, "stop": 9],
  ]

  private static func mutated(_ value: JSONValue, _ random: inout SplitMix) -> JSONValue {
    switch value {
    case .object(var object) where !object.isEmpty && Int.random(in: 0..<10, using: &random) > 0:
      let member = object.members[Int.random(in: 0..<object.count, using: &random)]
      object[member.key] = Int.random(in: 0..<12, using: &random) == 0 ? nil : mutated(member.value, &random)
      return .object(object)
    case .array(var elements) where !elements.isEmpty && Int.random(in: 0..<10, using: &random) > 0:
      let index = Int.random(in: 0..<elements.count, using: &random)
      elements[index] = mutated(elements[index], &random)
      return .array(elements)
    default: return replacements[Int.random(in: 0..<replacements.count, using: &random)]
    }
  }
}
