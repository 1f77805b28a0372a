/// Splits a piece of text into smaller ones, in order; it may change their bytes on the way. Empty pieces are dropped by
/// whoever receives them.
protocol PreTokenizer: Sendable {
  func split(_ piece: TextPiece, with scratch: PatternScratch, emit: (TextPiece) -> Void)
}

extension TokenizerComponent {
  static let supportedPreTokenizers =
    "Sequence, Split, ByteLevel, Metaspace, Digits, Whitespace, WhitespaceSplit, Punctuation and BertPreTokenizer pre-tokenizers"

  /// The pre-tokenizers of a component in the order they run; a Sequence is taken apart.
  func preTokenizers() throws(TokenizerError) -> [any PreTokenizer] {
    switch try type() {
    case "Sequence":
      var result: [any PreTokenizer] = []
      for part in try list("pretokenizers") { result += try part.preTokenizers() }
      return result
    case "Split": return [try SplitPreTokenizer(self)]
    case "ByteLevel": return [try ByteLevelPreTokenizer(self)]
    case "Metaspace": return [try MetaspacePreTokenizer(self)]
    case "Digits": return [try CharacterClassPreTokenizer(digits: self)]
    case "Punctuation": return [try CharacterClassPreTokenizer(punctuation: self)]
    case "WhitespaceSplit": return [CharacterClassPreTokenizer.whitespace]
    case "Whitespace": return [WordPreTokenizer()]
    case "BertPreTokenizer": return [BertPreTokenizer()]
    case let other: throw unsupported("the pre-tokenizer \"\(other)\"", supported: Self.supportedPreTokenizers)
    }
  }
}
