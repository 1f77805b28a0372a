/// A stretch of text on its way through the pre-tokenizers.
struct TextPiece {
  /// UTF-8; valid while the closure that got the piece runs.
  var bytes: UnsafeBufferPointer<UInt8>
  /// How many leading bytes come from the very first scalar of the input; 0 for a piece that does not start the input.
  /// Metaspace's `prepend_scheme: first` asks for it.
  var startLength: Int
  /// The bytes stand for their byte-level letters: the model maps them, and only when it has to.
  var isByteLevel = false

  var isStart: Bool { startLength > 0 }

  func part(_ start: Int, _ end: Int) -> TextPiece {
    TextPiece(bytes: bytes.part(start, end), startLength: max(0, startLength - start), isByteLevel: isByteLevel)
  }
}

/// A text that normalizers change.
struct NormalizedText {
  var bytes: [UInt8]
  /// As in `TextPiece`.
  var startLength: Int
}
