/// `Replace`: puts a text in place of every match of a pattern.
struct ReplaceNormalizer: Normalizer {
  let pattern: Pattern
  let content: [UInt8]

  func normalize(_ text: inout NormalizedText, with scratch: PatternScratch) {
    var output: [UInt8] = []
    output.reserveCapacity(text.bytes.count)
    var startLength = 0
    let oldStart = text.startLength
    text.bytes.withUnsafeBufferPointer { bytes in
      guard !bytes.isEmpty else { return }
      pattern.forEachStretch(of: bytes, with: scratch) { start, end, isMatch in
        if isMatch {
          output += content
          // A replacement belongs to where the last scalar that it replaces came from.
          if end <= oldStart { startLength += content.count }
        } else {
          output += bytes[start..<end]
          startLength += max(0, min(end, oldStart) - start)
        }
      }
    }
    text.bytes = output
    text.startLength = min(startLength, output.count)
  }
}
