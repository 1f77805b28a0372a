/// `BertPreTokenizer`: words between white space, which is dropped, and every punctuation character by itself.
struct BertPreTokenizer: PreTokenizer {
  private static let space = ScalarBitmap(CharacterProperties.whitespace)
  private static let punctuation = ScalarBitmap(CharacterProperties.punctuation)

  func split(_ piece: TextPiece, with scratch: PatternScratch, emit: (TextPiece) -> Void) {
    var start = 0
    var position = 0
    while position < piece.bytes.count {
      let scalar = piece.bytes.scalar(at: position)
      let end = position + scalar.length
      let isSpace = Self.space.contains(scalar.value)
      if isSpace || Self.punctuation.contains(scalar.value) {
        if start < position { emit(piece.part(start, position)) }
        if !isSpace { emit(piece.part(position, end)) }
        start = end
      }
      position = end
    }
    if start < position { emit(piece.part(start, position)) }
  }
}
