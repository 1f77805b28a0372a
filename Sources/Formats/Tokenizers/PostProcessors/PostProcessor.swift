/// Adds special tokens to encoded texts.
///
/// It gets and returns a list of encodings, as the library's do: a template turns one encoding into a list of parts, which
/// a further template would take for a pair of texts. The caller joins them at the end.
protocol PostProcessor: Sendable {
  func process(_ encodings: [[Int32]], addSpecialTokens: Bool) -> [[Int32]]
}

extension TokenizerComponent {
  static let supportedPostProcessors =
    "Sequence, TemplateProcessing, ByteLevel, BertProcessing and RobertaProcessing post-processors"

  /// The post-processors of a component in the order they run; a Sequence is taken apart.
  func postProcessors() throws(TokenizerError) -> [any PostProcessor] {
    switch try type() {
    case "Sequence":
      var result: [any PostProcessor] = []
      for part in try list("processors") { result += try part.postProcessors() }
      let templates = result.count { $0 is TemplatePostProcessor }
      // The library fails to encode with such a file.
      guard templates <= 1 else { throw unsupported("more than one TemplateProcessing", supported: "a single TemplateProcessing") }
      return result
    // Byte-level post-processing moves offsets only.
    case "ByteLevel": return []
    case "TemplateProcessing": return [try TemplatePostProcessor(self)]
    case "BertProcessing", "RobertaProcessing": return [try PairPostProcessor(self)]
    case let other: throw unsupported("the post-processor \"\(other)\"", supported: Self.supportedPostProcessors)
    }
  }
}
