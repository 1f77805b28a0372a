/// Changes a text before it is split.
protocol Normalizer: Sendable {
  func normalize(_ text: inout NormalizedText, with scratch: PatternScratch)
}

extension TokenizerComponent {
  static let supportedNormalizers =
    "Sequence, NFC, NFD, NFKC, NFKD, Prepend, Replace, Lowercase, Strip, StripAccents and BertNormalizer normalizers"

  /// The normalizers of a component in the order they run; a Sequence is taken apart.
  func normalizers() throws(TokenizerError) -> [any Normalizer] {
    switch try type() {
    case "Sequence":
      var result: [any Normalizer] = []
      for part in try list("normalizers") { result += try part.normalizers() }
      return result
    case "NFC": return [UnicodeNormalizer(.composed, compatible: false)]
    case "NFD": return [UnicodeNormalizer(.decomposed, compatible: false)]
    case "NFKC": return [UnicodeNormalizer(.composed, compatible: true)]
    case "NFKD": return [UnicodeNormalizer(.decomposed, compatible: true)]
    case "Prepend": return [PrependNormalizer(prefix: Array(try string("prepend").utf8))]
    case "Replace": return [ReplaceNormalizer(pattern: try pattern("pattern"), content: Array(try string("content").utf8))]
    case "Lowercase": return [LowercaseNormalizer()]
    case "Strip": return [StripNormalizer(left: try bool("strip_left"), right: try bool("strip_right"))]
    case "StripAccents": return [StripAccentsNormalizer()]
    case "BertNormalizer": return try BertNormalizer.normalizers(self)
    case let other: throw unsupported("the normalizer \"\(other)\"", supported: Self.supportedNormalizers)
    }
  }
}
