/// `StripAccents`: drops combining marks. BERT's normalizer drops those only that take no space.
struct StripAccentsNormalizer: Normalizer {
  /// What is dropped.
  enum Marks { case all, bert }

  private static let all = ScalarBitmap(CharacterProperties.marks)
  private static let bert = ScalarBitmap(CharacterProperties.bertMarks)

  var marks = Marks.all

  func normalize(_ text: inout NormalizedText, with scratch: PatternScratch) {
    var output: [UInt8] = []
    output.reserveCapacity(text.bytes.count)
    var startLength = 0
    let dropped = marks == .bert ? Self.bert : Self.all
    text.bytes.withUnsafeBufferPointer { bytes in
      var position = 0
      while position < bytes.count {
        let scalar = bytes.scalar(at: position)
        let end = position + scalar.length
        if !dropped.contains(scalar.value) {
          output += bytes[position..<end]
          if position < text.startLength { startLength += scalar.length }
        }
        position = end
      }
    }
    text.bytes = output
    text.startLength = startLength
  }
}
