import StructuredData

/// `TemplateProcessing` for a single text: special tokens around it.
struct TemplatePostProcessor: PostProcessor {
  enum Piece: Sendable {
    case text
    case special([Int32])
  }

  let pieces: [Piece]

  init(_ component: TokenizerComponent) throws(TokenizerError) {
    guard let specials = component.value["special_tokens"]?.object else {
      throw component.malformed("\"special_tokens\" must be an object")
    }
    var pieces: [Piece] = []
    for part in try component.list("single") {
      if let special = part.component("SpecialToken") {
        let name = try special.string("id")
        guard let ids = specials[name]?["ids"]?.array else {
          throw part.malformed("the template names \"\(name)\", which \"special_tokens\" does not have")
        }
        var tokens: [Int32] = []
        for id in ids { tokens.append(try part.tokenID(id)) }
        pieces.append(.special(tokens))
      } else if let sequence = part.component("Sequence") {
        guard try sequence.string("id") == "A" else { throw part.malformed("a template for one text names a second one") }
        pieces.append(.text)
      } else {
        throw part.malformed("a template has only SpecialToken and Sequence")
      }
    }
    self.pieces = pieces
  }

  func process(_ encodings: [[Int32]], addSpecialTokens: Bool) -> [[Int32]] {
    // One encoding comes in, or several that an earlier processor left: those stay together.
    let text = Array(encodings.joined())
    return pieces.compactMap { piece in
      switch piece {
      case .text: text
      case .special(let ids): addSpecialTokens ? ids : nil
      }
    }
  }
}
