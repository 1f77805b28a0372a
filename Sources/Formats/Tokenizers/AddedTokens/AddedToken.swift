/// A token that is found in the text before the model sees it.
struct AddedToken: Sendable, Equatable {
  var content: String
  var isSpecial: Bool
  /// Matches the text after normalization, in its own normalized form; otherwise the text as it came.
  var isNormalized: Bool
  /// Does not match inside a word.
  var isSingleWord: Bool
  /// Takes the white space before it along.
  var stripsLeft: Bool
  /// Takes the white space behind it along.
  var stripsRight: Bool

  init(_ component: TokenizerComponent) throws(TokenizerError) {
    content = try component.string("content")
    isSpecial = try component.bool("special")
    isNormalized = try component.bool("normalized")
    isSingleWord = try component.bool("single_word")
    stripsLeft = try component.bool("lstrip")
    stripsRight = try component.bool("rstrip")
  }

  static func == (left: Self, right: Self) -> Bool {
    left.content.utf8.elementsEqual(right.content.utf8) && left.isSpecial == right.isSpecial
      && left.isNormalized == right.isNormalized && left.isSingleWord == right.isSingleWord
      && left.stripsLeft == right.stripsLeft && left.stripsRight == right.stripsRight
  }
}
