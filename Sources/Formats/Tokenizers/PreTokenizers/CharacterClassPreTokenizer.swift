/// `Digits`, `Punctuation` and `WhitespaceSplit`: cuts at each scalar of a set.
struct CharacterClassPreTokenizer: PreTokenizer {
  private let members: ScalarBitmap
  private let behavior: SplitBehavior

  static let whitespace = CharacterClassPreTokenizer(members: CharacterProperties.whitespace, behavior: .removed)

  private init(members: ScalarSet, behavior: SplitBehavior) {
    self.members = ScalarBitmap(members)
    self.behavior = behavior
  }

  init(digits component: TokenizerComponent) throws(TokenizerError) {
    let isIndividual = try component.bool("individual_digits")
    self.init(members: CharacterProperties.numeric, behavior: isIndividual ? .isolated : .contiguous)
  }

  init(punctuation component: TokenizerComponent) throws(TokenizerError) {
    self.init(members: CharacterProperties.punctuation, behavior: try component.splitBehavior(default: .isolated))
  }

  func split(_ piece: TextPiece, with scratch: PatternScratch, emit: (TextPiece) -> Void) {
    var merger = SplitBehavior.Merger(behavior)
    func pass(_ start: Int, _ end: Int) { emit(piece.part(start, end)) }
    var last = 0
    var position = 0
    while position < piece.bytes.count {
      let scalar = piece.bytes.scalar(at: position)
      if members.contains(scalar.value) {
        if last < position { merger.add(last, position, isMatch: false, pass) }
        last = position + scalar.length
        merger.add(position, last, isMatch: true, pass)
      }
      position += scalar.length
    }
    if last < position { merger.add(last, position, isMatch: false, pass) }
    merger.finish(pass)
  }
}
