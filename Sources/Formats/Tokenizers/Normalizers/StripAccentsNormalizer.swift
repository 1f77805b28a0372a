/// `StripAccents`: drops combining marks.
struct StripAccentsNormalizer: Normalizer {
  private static let marks = ScalarBitmap(CharacterProperties.marks)

  func normalize(_ text: inout NormalizedText, with scratch: PatternScratch) {
    var output: [UInt8] = []
    output.reserveCapacity(text.bytes.count)
    var startLength = 0
    text.bytes.withUnsafeBufferPointer { bytes in
      var position = 0
      while position < bytes.count {
        let scalar = bytes.scalar(at: position)
        let end = position + scalar.length
        if !Self.marks.contains(scalar.value) {
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
