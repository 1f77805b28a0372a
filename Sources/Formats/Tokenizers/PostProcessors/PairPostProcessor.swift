import StructuredData

/// `BertProcessing` and `RobertaProcessing`: a class token before the first text, a separator behind each.
struct PairPostProcessor: PostProcessor {
  let separator: Int32
  let start: Int32

  init(_ component: TokenizerComponent) throws(TokenizerError) {
    func id(_ key: String) throws(TokenizerError) -> Int32 {
      guard let pair = component.value[key]?.array, pair.count == 2, pair[0].string != nil else {
        throw component.malformed("\"\(key)\" must be [token, id]")
      }
      return try component.tokenID(pair[1])
    }
    separator = try id("sep")
    start = try id("cls")
  }

  func process(_ encodings: [[Int32]], addSpecialTokens: Bool) -> [[Int32]] {
    guard addSpecialTokens else { return encodings }
    return encodings.enumerated().map { index, encoding in
      (index == 0 ? [start] : []) + encoding + [separator]
    }
  }
}

/// Tokens that tokenizer_config.json asks for and the tokenizer.json leaves out (`add_bos_token`, `add_eos_token`).
struct EdgePostProcessor: PostProcessor {
  let first: Int32?
  let last: Int32?

  func process(_ encodings: [[Int32]], addSpecialTokens: Bool) -> [[Int32]] {
    guard addSpecialTokens else { return encodings }
    return [first.map { [$0] } ?? []] + encodings + [last.map { [$0] } ?? []]
  }
}
