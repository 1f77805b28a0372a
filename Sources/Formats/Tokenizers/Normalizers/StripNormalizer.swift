/// `Strip`: drops white space at the ends.
struct StripNormalizer: Normalizer {
  let left: Bool
  let right: Bool
  private static let whitespace = ScalarBitmap(CharacterProperties.whitespace)

  func normalize(_ text: inout NormalizedText, with scratch: PatternScratch) {
    var start = 0
    var end = text.bytes.count
    text.bytes.withUnsafeBufferPointer { bytes in
      while left, start < end {
        let scalar = bytes.scalar(at: start)
        guard Self.whitespace.contains(scalar.value) else { break }
        start += scalar.length
      }
      while right, end > start {
        let last = bytes.scalarStart(before: end)
        guard Self.whitespace.contains(bytes.scalar(at: last).value) else { break }
        end = last
      }
    }
    text.bytes = Array(text.bytes[start..<end])
    text.startLength = min(max(0, text.startLength - start), text.bytes.count)
  }
}
