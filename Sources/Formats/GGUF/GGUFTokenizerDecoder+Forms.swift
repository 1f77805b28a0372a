import StructuredData

extension GGUFTokenizerDecoder {
  private func vocabulary(_ text: (GGUFTokenizer.Token) -> String) throws(TokenizerError) -> JSONValue {
    var vocabulary = JSONObject()
    for (id, token) in tokens.enumerated() { vocabulary[text(token)] = .integer(Int64(id)) }
    guard vocabulary.count == tokens.count else {
      throw TokenizerError.malformed(file, at: GGUFTokenizer.prefix + "tokens", "two tokens mean the same text")
    }
    return .object(vocabulary)
  }

  private func tokenizer(_ normalizer: JSONValue, _ preTokenizer: JSONValue, _ decoder: JSONValue, _ model: JSONValue) -> JSONValue {
    [
      "version": "1.0", "truncation": .null, "padding": .null, "added_tokens": addedTokens(), "normalizer": normalizer,
      "pre_tokenizer": preTokenizer, "post_processor": .null, "decoder": decoder, "model": model,
    ]
  }

  /// `gpt2`: byte pairs over the letters of bytes.
  func byteLevel(_ notes: inout [String]) throws(TokenizerError) -> JSONValue {
    guard let merges = metadata.strings(GGUFTokenizer.prefix + "merges") else {
      throw TokenizerError.malformed(file, at: GGUFTokenizer.prefix + "merges", "there are no merges")
    }
    let name = metadata.string(GGUFTokenizer.prefix + "pre")
    if name == nil { notes.append("the file does not say how text is cut into words; it is cut as llama.cpp does without, as \"default\"") }
    guard let preTokenizer = GGUFPreTokenizer.named(name ?? "default") else {
      let names = GGUFPreTokenizer.all.map { $0.names[0] }.joined(separator: ", ")
      throw unsupported("pre", "a pre-tokenizer \"\(CheckpointError.shortened(name ?? ""))\"", names)
    }
    var pairs: [JSONValue] = []
    pairs.reserveCapacity(merges.count)
    for (rank, merge) in merges.enumerated() {
      // The first token may be a space itself.
      let bytes = Array(merge.utf8)
      guard let cut = bytes.dropFirst().firstIndex(of: 0x20), cut + 1 < bytes.count else {
        throw TokenizerError.malformed(file, at: GGUFTokenizer.prefix + "merges", "merge \(rank) is no pair of tokens")
      }
      pairs.append([.string(String(decoding: bytes[..<cut], as: UTF8.self)), .string(String(decoding: bytes[(cut + 1)...], as: UTF8.self))])
    }
    return tokenizer(
      preTokenizer.composes ? ["type": "NFC"] : .null, preTokenizer.json,
      ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true],
      [
        "type": "BPE", "dropout": .null, "unk_token": .null, "continuing_subword_prefix": .null, "end_of_word_suffix": .null,
        "fuse_unk": false, "byte_fallback": false, "ignore_merges": .bool(preTokenizer.ignoresMerges),
        "vocab": try vocabulary { $0.text }, "merges": .array(pairs),
      ])
  }

  /// `llama`: SentencePiece's byte pairs.
  func sentencePiece(_ notes: inout [String]) throws(TokenizerError) -> JSONValue {
    if bool("remove_extra_whitespaces") == true {
      throw unsupported("remove_extra_whitespaces", "the removal of spaces", "text as it is")
    }
    guard let scores = metadata.numbers(GGUFTokenizer.prefix + "scores"), scores.count >= tokens.count else {
      throw TokenizerError.malformed(file, at: GGUFTokenizer.prefix + "scores", "there are not as many as tokens")
    }
    let learned = tokens.indices.filter { tokens[$0].kind == .normal }
    // Converters that had no scores wrote the same one for all; ids rise as scores fall.
    let areAlike = Set(learned.map { scores[$0] }).count <= 1 && learned.count > 1
    if areAlike { notes.append("all scores are the same; tokens are taken in the order of their ids instead") }
    var pieces: [SentencePieceModel.Piece] = []
    pieces.reserveCapacity(tokens.count)
    for (id, token) in tokens.enumerated() {
      guard let kind = SentencePieceModel.Kind(rawValue: Int(token.kind.rawValue)), scores[id].isFinite else {
        throw TokenizerError.malformed(file, at: GGUFTokenizer.prefix + "scores", "the score of token \(id) is \(scores[id])")
      }
      // Cutting a piece in all ways takes time with the square of its length.
      guard token.text.utf8.count <= SentencePieceModel.greatestPieceLength else {
        throw TokenizerError.malformed(
          file, at: GGUFTokenizer.prefix + "tokens", "token \(id) has \(token.text.utf8.count) bytes")
      }
      pieces.append(.init(text: token.text, score: areAlike ? -Float(id) : Float(scores[id]), kind: kind))
    }
    let model = SentencePieceModel(
      pieces, fallsBackToBytes: tokens.contains { $0.kind == .byte }, addsPrefix: bool("add_space_prefix") ?? true, named: file)
    return try model.json()
  }

  /// `bert`: WordPiece.
  func wordPiece(unknown: Int?) throws(TokenizerError) -> JSONValue {
    guard let unknown else {
      throw TokenizerError.malformed(file, at: GGUFTokenizer.prefix + "unknown_token_id", "there is no token for what is unknown")
    }
    let lowercases = bool("normalizer.lowercase") ?? true
    let strips = bool("normalizer.strip_accents") ?? lowercases
    let words = try vocabulary { token in
      guard token.kind == .normal else { return token.text }
      if let word = token.text.dropping(prefix: "▁") { return word }
      // Older files leave what is in brackets as it is.
      return token.text.lies(between: "[", and: "]") ? token.text : "##" + token.text
    }
    return tokenizer(
      [
        "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": .bool(strips),
        "lowercase": .bool(lowercases),
      ],
      ["type": "BertPreTokenizer"], ["type": "WordPiece", "prefix": "##", "cleanup": true],
      [
        "type": "WordPiece", "unk_token": .string(tokens[unknown].text), "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100, "vocab": words,
      ])
  }
}
