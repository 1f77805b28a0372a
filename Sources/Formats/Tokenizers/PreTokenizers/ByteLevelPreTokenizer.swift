/// `ByteLevel`: GPT-2's split when asked for, then every byte becomes a letter.
///
/// The letters are left to the model (`TextPiece.isByteLevel`), which needs them only for words it has not seen, unless
/// another pre-tokenizer has to see them.
struct ByteLevelPreTokenizer: PreTokenizer {
  private let addsPrefixSpace: Bool
  private let splitter: SplitPreTokenizer?
  /// Whether another pre-tokenizer follows.
  var mapsBytes = true

  /// The published expression of GPT-2's tokenizer.
  private static let expression = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

  init(_ component: TokenizerComponent) throws(TokenizerError) {
    addsPrefixSpace = try component.bool("add_prefix_space")
    guard try component.bool("use_regex", default: true) else {
      splitter = nil
      return
    }
    do throws(PatternError) { splitter = SplitPreTokenizer(pattern: try Pattern(Self.expression)) } catch {
      throw component.malformed(error.problem)
    }
  }

  func split(_ piece: TextPiece, with scratch: PatternScratch, emit: (TextPiece) -> Void) {
    guard addsPrefixSpace, piece.bytes.first != 0x20 else {
      splitSpaced(piece, with: scratch, emit: emit)
      return
    }
    let spaced = [0x20] + piece.bytes
    spaced.withUnsafeBufferPointer { bytes in
      let length = piece.isStart ? piece.startLength + 1 : 0
      splitSpaced(TextPiece(bytes: bytes, startLength: length), with: scratch, emit: emit)
    }
  }

  private func splitSpaced(_ piece: TextPiece, with scratch: PatternScratch, emit: (TextPiece) -> Void) {
    guard let splitter else {
      pass(piece, emit)
      return
    }
    splitter.split(piece, with: scratch) { pass($0, emit) }
  }

  private func pass(_ piece: TextPiece, _ emit: (TextPiece) -> Void) {
    guard mapsBytes else {
      var marked = piece
      marked.isByteLevel = true
      emit(marked)
      return
    }
    var letters: [UInt8] = []
    ByteLevelAlphabet.append(lettersOf: piece.bytes, to: &letters)
    letters.withUnsafeBufferPointer { bytes in
      emit(TextPiece(bytes: bytes, startLength: piece.isStart ? min(2, bytes.count) : 0))
    }
  }
}
