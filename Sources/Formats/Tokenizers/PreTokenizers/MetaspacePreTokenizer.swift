/// `Metaspace`: spaces become a visible mark, which may also be put in front, and words begin at the marks.
struct MetaspacePreTokenizer: PreTokenizer {
  enum PrependScheme: String, Sendable { case first, never, always }

  private let mark: [UInt8]
  private let scheme: PrependScheme
  private let splits: Bool

  init(_ component: TokenizerComponent) throws(TokenizerError) {
    mark = Array(String(Character(try component.scalar("replacement"))).utf8)
    scheme = try component.metaspaceScheme()
    splits = try component.bool("split", default: true)
  }

  func split(_ piece: TextPiece, with scratch: PatternScratch, emit: (TextPiece) -> Void) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(piece.bytes.count + piece.bytes.count / 4 + mark.count)
    var startLength = 0
    for (index, byte) in piece.bytes.enumerated() {
      if index == piece.startLength { startLength = bytes.count }
      if byte == 0x20 { bytes += mark } else { bytes.append(byte) }
    }
    if piece.startLength >= piece.bytes.count { startLength = bytes.count }
    if !bytes.starts(with: mark), scheme == .always || scheme == .first && piece.isStart {
      bytes.insert(contentsOf: mark, at: 0)
      if piece.isStart { startLength += mark.count }
    }
    bytes.withUnsafeBufferPointer { buffer in
      let whole = TextPiece(bytes: buffer, startLength: piece.isStart ? startLength : 0)
      if splits { emitWords(of: whole, emit) } else { emit(whole) }
    }
  }

  /// Cuts in front of each mark.
  private func emitWords(of piece: TextPiece, _ emit: (TextPiece) -> Void) {
    var start = 0
    var position = 0
    while position < piece.bytes.count {
      if piece.bytes[position] == mark[0], piece.bytes.count - position >= mark.count,
        mark.indices.allSatisfy({ piece.bytes[position + $0] == mark[$0] })
      {
        if start < position { emit(piece.part(start, position)) }
        start = position
        position += mark.count
      } else {
        position += 1
      }
    }
    if start < position { emit(piece.part(start, position)) }
  }
}

extension TokenizerComponent {
  /// The prepend scheme of a Metaspace pre-tokenizer or decoder, with the older `add_prefix_space` it replaced.
  func metaspaceScheme() throws(TokenizerError) -> MetaspacePreTokenizer.PrependScheme {
    var scheme = MetaspacePreTokenizer.PrependScheme.always
    if member("prepend_scheme") != nil {
      let name = try string("prepend_scheme")
      guard let named = MetaspacePreTokenizer.PrependScheme(rawValue: name) else { throw malformed("unknown prepend_scheme \"\(name)\"") }
      scheme = named
    }
    if member("add_prefix_space") != nil, try !bool("add_prefix_space"), scheme != .never {
      throw malformed("add_prefix_space does not match prepend_scheme")
    }
    return scheme
  }
}
