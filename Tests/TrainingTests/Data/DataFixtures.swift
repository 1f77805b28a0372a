import Formats
import Foundation
import StructuredData
import Testing

@testable import Training

/// A tokenizer of bytes with a few merges and special tokens, small enough to follow by hand.
enum DataFixtures {
  static let begin: Int32 = 0
  static let end: Int32 = 1

  /// - Parameter begins: whether a beginning is put before texts.
  static func tokenizer(begins: Bool = true) throws -> Tokenizer {
    var vocabulary = JSONObject()
    for token in ["<s>", "</s>", "<u>", "<a>"] { vocabulary[token] = .integer(Int64(vocabulary.count)) }
    // The letters that stand for bytes: printable ones for themselves, the others from U+0100 on.
    var next: UInt32 = 0x100
    for byte in UInt32(0)...255 {
      let isPlain = (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || (0xAE...0xFF).contains(byte)
      if !isPlain { next += 1 }
      let scalar = try #require(Unicode.Scalar(isPlain ? byte : next - 1))
      vocabulary[String(scalar)] = .integer(Int64(vocabulary.count))
    }
    for token in ["Ġa", "ab", "cd"] { vocabulary[token] = .integer(Int64(vocabulary.count)) }
    let added: [JSONValue] = ["<s>", "</s>", "<u>", "<a>"].enumerated().map { id, token in
      [
        "id": .integer(Int64(id)), "content": .string(token), "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": true,
      ]
    }
    var file: JSONObject = [
      "version": "1.0", "added_tokens": .array(added),
      "pre_tokenizer": ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false],
      "decoder": ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false],
      "model": ["type": "BPE", "vocab": .object(vocabulary), "merges": [["Ġ", "a"], ["a", "b"], ["c", "d"]]],
    ]
    if begins {
      file["post_processor"] = [
        "type": "TemplateProcessing", "single": [["SpecialToken": ["id": "<s>", "type_id": 0]], ["Sequence": ["id": "A", "type_id": 0]]],
        "pair": [["Sequence": ["id": "A", "type_id": 0]], ["Sequence": ["id": "B", "type_id": 1]]],
        "special_tokens": ["<s>": ["id": "<s>", "ids": [0], "tokens": ["<s>"]]],
      ]
    }
    return try Tokenizer(json: .object(file), named: "tokenizer.json")
  }

  static let chatTemplate = """
    {{- bos_token }}{% for m in messages %}{{ ('<u>' if m.role == 'user' else '<a>') + m.content + eos_token }}{% endfor %}
    {%- if add_generation_prompt %}<a>{% endif %}
    """

  static func template(_ source: String = chatTemplate) throws -> ChatTemplate {
    try ChatTemplate(source, specialTokens: ["bos_token": "<s>", "eos_token": "</s>"])
  }

  static func encoder(
    template: ChatTemplate? = nil, length: Int = 1000, begins: Bool = true, ends: Bool = true
  ) throws -> ExampleEncoder {
    try ExampleEncoder(
      tokenizer: tokenizer(begins: begins), chatTemplate: template, endOfText: ends ? end : nil, maximumLength: length)
  }

  /// Reads a file of that text.
  static func read(
    _ text: String, name: String = "data.jsonl", with encoder: ExampleEncoder
  ) throws -> (examples: [TrainingExample], statistics: TrainingDataStatistics) {
    try read(Data(text.utf8), name: name, with: encoder)
  }

  static func read(
    _ data: Data, name: String, with encoder: ExampleEncoder
  ) throws -> (examples: [TrainingExample], statistics: TrainingDataStatistics) {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("training-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    let file = directory.appendingPathComponent(name)
    try data.write(to: file)
    return try TrainingFile(file).examples(using: encoder)
  }

  /// The text of an example with what is to be learned in brackets.
  static func marked(_ example: TrainingExample, with encoder: ExampleEncoder) -> String {
    var result = ""
    var place = 0
    while place < example.tokens.count {
      let isTarget = example.isTarget[place]
      var end = place
      while end < example.tokens.count, example.isTarget[end] == isTarget { end += 1 }
      let text = encoder.tokenizer.decode(Array(example.tokens[place..<end]), skipSpecialTokens: false)
      result += isTarget ? "[\(text)]" : text
      place = end
    }
    return result
  }
}
