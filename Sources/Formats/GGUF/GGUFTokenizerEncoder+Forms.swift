import StructuredData

extension GGUFTokenizerEncoder {
  /// The name of what cuts text as the tokenizer does.
  mutating func preTokenizer() throws(TokenizerError) -> String {
    let normalizers = GGUFPreTokenizer.stages(of: json["normalizer"] ?? .null)
    if let other = normalizers.first(where: { $0["type"]?.string != "NFC" }) {
      throw unsupported("normalizer", "the normalizer \"\(other["type"]?.string ?? "")\"", "none, or NFC, for byte-level tokenizers")
    }
    for key in ["continuing_subword_prefix", "end_of_word_suffix"] where !(json["model"]?[key]?.string ?? "").isEmpty {
      throw unsupported("model", "\"\(key)\"", "byte-level BPE without it")
    }
    let ignoresMerges = json["model"]?["ignore_merges"]?.bool ?? false
    guard let splits = GGUFPreTokenizer.splits(of: json["pre_tokenizer"] ?? .null),
      let found = GGUFPreTokenizer.matching(splits, ignoresMerges: ignoresMerges)
    else {
      let names = GGUFPreTokenizer.all.map { $0.names[0] }.joined(separator: ", ")
      throw unsupported(
        "pre_tokenizer", "this way to cut text into words, which is none that llama.cpp has a name for,", "one of \(names)")
    }
    if found.ignoresMerges != ignoresMerges {
      let does = found.ignoresMerges ? "takes a word that is a token whole" : "merges words that are tokens from their letters"
      result.notes.append("llama.cpp \(does) for \"\(found.names[0])\", the tokenizer does not")
    }
    return found.names[0]
  }

  private func unsupported(_ path: String, _ what: String, _ supported: String) -> TokenizerError {
    .unsupported(file, at: path, what, supported: "\(supported), which GGUF can say")
  }

  /// Whether a space is put before the text. Throws when text is changed in another way than SentencePiece does.
  mutating func addsSpacePrefix() throws(TokenizerError) -> Bool {
    var prepends = false
    var marksSpaces = false
    for stage in GGUFPreTokenizer.stages(of: json["normalizer"] ?? .null) {
      switch stage["type"]?.string {
      case "Prepend" where stage["prepend"]?.string == "▁": prepends = true
      case "Replace" where stage["pattern"]?["String"]?.string == " " && stage["content"]?.string == "▁": marksSpaces = true
      case let other: throw unsupported("normalizer", "the normalizer \"\(other ?? "")\"", "marks for spaces")
      }
    }
    for stage in GGUFPreTokenizer.stages(of: json["pre_tokenizer"] ?? .null) {
      switch stage["type"]?.string {
      case "Metaspace" where stage["replacement"]?.string == "▁":
        marksSpaces = true
        let scheme = stage["prepend_scheme"]?.string ?? (stage["add_prefix_space"]?.bool == false ? "never" : "always")
        guard scheme != "never" else { continue }
        prepends = true
        result.notes.append("llama.cpp puts a space also before a text that begins with one")
      // Nothing is left to split at once spaces are marks.
      case "Split" where marksSpaces && stage["pattern"]?["String"]?.string == " ": continue
      case let other: throw unsupported("pre_tokenizer", "the pre-tokenizer \"\(other ?? "")\"", "marks for spaces")
      }
    }
    guard marksSpaces else { throw unsupported("normalizer", "spaces that stay spaces", "marks (▁) for them") }
    return prepends
  }

  mutating func checkWordPiece() throws(TokenizerError) {
    let stages = GGUFPreTokenizer.stages(of: json["pre_tokenizer"] ?? .null).map { $0["type"]?.string ?? "" }
    guard stages == ["BertPreTokenizer"] else { throw unsupported("pre_tokenizer", "this pre-tokenizer", "BERT's") }
    let normalizer = json["normalizer"] ?? .null
    guard normalizer["type"]?.string == "BertNormalizer" else { throw unsupported("normalizer", "this normalizer", "BERT's") }
    for key in ["clean_text", "handle_chinese_chars"] where normalizer[key]?.bool == false {
      result.notes.append("llama.cpp always does what \"\(key)\" stands for, the tokenizer does not")
    }
    let limit = json["model"]?["max_input_chars_per_word"]?.integer ?? 100
    if limit < 100 { result.notes.append("llama.cpp cuts words of any length, the tokenizer only those of at most \(limit) characters") }
    let prefix = json["model"]?["continuing_subword_prefix"]?.string ?? "##"
    guard prefix == "##" else { throw unsupported("model", "the prefix \"\(prefix)\"", "\"##\"") }
  }

  /// A score for each token: the more it is worth, the sooner llama.cpp puts it together, from any two tokens.
  ///
  /// The rank of the first merge that makes a token, negated, has the effect of the merges as long as each token that text is cut into is
  /// one that its own text is cut into; a vocabulary that was trained, or comes from SentencePiece, is of that kind.
  mutating func scores(_ tokens: [GGUFTokenizer.Token]) -> [Float] {
    guard let model = tokenizer.model as? BytePairEncoding else { return [] }
    let merges = json["model"]?["merges"]?.array ?? []
    let last = -Float(merges.count + 1)
    var scores = [Float](repeating: last, count: tokens.count)
    for (rank, entry) in merges.enumerated() {
      let parts = entry.array?.compactMap(\.string) ?? entry.string?.unicodeScalars.split(separator: " ").map(String.init) ?? []
      guard parts.count == 2, let id = model.vocabulary.id(of: parts[0] + parts[1]).map(Int.init), id < scores.count else { continue }
      if scores[id] == last { scores[id] = -Float(rank) }
    }
    let scratch = ModelScratch()
    var doubtful: [String] = []
    for (id, token) in tokens.enumerated() where token.kind == .normal {
      if !isSafe(Array(token.text.utf8), id: Int32(id), model, scratch) { doubtful.append(token.text) }
    }
    if let first = doubtful.first {
      result.notes.append(
        "\(doubtful.count) tokens (\"\(CheckpointError.shortened(first))\" …) are not what their merges make of their texts: llama.cpp, "
          + "which merges whatever is a token, may cut text otherwise")
    }
    // Special tokens that are spelled out in a text are found before; the rest of them must not attract letters.
    for (id, token) in tokens.enumerated() where token.kind != .normal { scores[id] = last }
    return scores
  }

  /// Whether llama.cpp makes a token only where the merges make it.
  private func isSafe(_ text: [UInt8], id: Int32, _ model: BytePairEncoding, _ scratch: ModelScratch) -> Bool {
    var ids: [Int32] = []
    text.withUnsafeBufferPointer { bytes in
      if !bytes.isEmpty { model.tokenize(TextPiece(bytes: bytes, startLength: 0), with: scratch, into: &ids) }
    }
    if ids == [id] { return true }
    // Otherwise each way to put it together must be a merge.
    return text.withUnsafeBufferPointer { bytes in
      bytes.indices.dropFirst().allSatisfy { cut in
        guard bytes[cut] & 0xC0 != 0x80, let left = model.vocabulary.id(of: bytes.part(0, cut)),
          let right = model.vocabulary.id(of: bytes.part(cut, bytes.count))
        else { return true }
        return model.merges.find(left, right) != nil
      }
    }
  }
}
