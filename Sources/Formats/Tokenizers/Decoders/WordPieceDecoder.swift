/// `WordPiece`: tokens inside of words join what is before them, others get a space; `cleanup` takes away the spaces that English text does not have.
struct WordPieceDecoder: TokenDecoder {
  let prefix: [UInt8]
  let cleansUp: Bool

  /// What the library replaces, in its order.
  private static let replacements: [(String, String)] = [
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"), (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"),
    (" 've", "'ve"), (" 're", "'re"),
  ]

  func decode(_ tokens: [[UInt8]]) -> [[UInt8]] {
    tokens.enumerated().map { index, token in
      var text = token
      if index > 0 {
        text = token.starts(with: prefix) && !prefix.isEmpty ? Array(token.dropFirst(prefix.count)) : [UInt8(ascii: " ")] + token
      }
      return cleansUp ? Self.cleaned(text) : text
    }
  }

  private static func cleaned(_ bytes: [UInt8]) -> [UInt8] {
    var text = bytes
    for (from, to) in replacements { text = text.replacing(Array(from.utf8), with: Array(to.utf8)) }
    return text
  }
}
