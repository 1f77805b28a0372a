import StructuredData

/// A vocabulary and its merges in two files, as KerasHub keeps Llama 3's (`vocabulary.json`, `merges.txt`), turned into the tokenizer.json
/// that the model was published with: words cut as Llama 3 cuts them, and whole words of the vocabulary taken before merging.
struct BytePairFiles {
  let vocabulary: JSONValue
  let merges: String
  let file: String

  /// How Llama 3 cuts text into words: contractions, words, up to three digits, punctuation, ends of lines, spaces.
  private static let words = [
    #"(?i:'s|'t|'re|'ve|'m|'ll|'d)"#, #"[^\r\n\p{L}\p{N}]?\p{L}+"#, #"\p{N}{1,3}"#, #" ?[^\s\p{L}\p{N}]+[\r\n]*"#, #"\s*[\r\n]+"#,
    #"\s+(?!\S)"#, #"\s+"#,
  ].joined(separator: "|")

  func json() throws(TokenizerError) -> JSONValue {
    guard let entries = vocabulary.object else { throw .malformed(file, "the vocabulary must be an object") }
    // Tokens like <|begin_of_text|> are never put together from letters.
    let special = entries.members.filter { $0.key.hasPrefix("<|") && $0.key.hasSuffix("|>") }
    let added = special.map { member -> JSONValue in
      [
        "id": member.value, "content": .string(member.key), "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
        "special": true,
      ]
    }
    // Swift takes a carriage return and a line feed for one character: cut by scalars.
    let lines = merges.unicodeScalars.split { $0 == "\n" || $0 == "\r" }.map(String.init)
    let pairs = lines.filter { !$0.hasPrefix("#version") }.map(JSONValue.string)
    return [
      "version": "1.0", "truncation": .null, "padding": .null, "added_tokens": .array(added), "normalizer": .null,
      "pre_tokenizer": [
        "type": "Sequence",
        "pretokenizers": [
          ["type": "Split", "pattern": ["Regex": .string(Self.words)], "behavior": "Isolated", "invert": false],
          ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false],
        ],
      ],
      "post_processor": beginning(entries),
      "decoder": ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true],
      "model": [
        "type": "BPE", "dropout": .null, "unk_token": .null, "continuing_subword_prefix": .null, "end_of_word_suffix": .null,
        "fuse_unk": false, "byte_fallback": false, "ignore_merges": true, "vocab": vocabulary, "merges": .array(pairs),
      ],
    ]
  }

  private func beginning(_ entries: JSONObject) -> JSONValue {
    let token = "<|begin_of_text|>"
    guard let id = entries[token] else { return .null }
    let special: JSONValue = ["SpecialToken": ["id": .string(token), "type_id": 0]]
    return [
      "type": "TemplateProcessing", "single": [special, ["Sequence": ["id": "A", "type_id": 0]]],
      "pair": [special, ["Sequence": ["id": "A", "type_id": 0]], special, ["Sequence": ["id": "B", "type_id": 1]]],
      "special_tokens": .object([token: ["id": .string(token), "ids": [id], "tokens": [.string(token)]]]),
    ]
  }
}
