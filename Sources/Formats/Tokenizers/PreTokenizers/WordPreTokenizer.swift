/// `Whitespace`: runs of word characters and runs of other visible ones (`\w+|[^\w\s]+`); white space is dropped.
struct WordPreTokenizer: PreTokenizer {
  private static let word = ScalarBitmap(CharacterProperties.rustWord)
  private static let space = ScalarBitmap(CharacterProperties.whitespace)

  func split(_ piece: TextPiece, with scratch: PatternScratch, emit: (TextPiece) -> Void) {
    var start = 0
    var kind = 0
    var position = 0
    while position < piece.bytes.count {
      let scalar = piece.bytes.scalar(at: position)
      let next = Self.word.contains(scalar.value) ? 1 : Self.space.contains(scalar.value) ? 0 : 2
      if next != kind {
        if kind != 0 { emit(piece.part(start, position)) }
        start = position
        kind = next
      }
      position += scalar.length
    }
    if kind != 0 { emit(piece.part(start, position)) }
  }
}
