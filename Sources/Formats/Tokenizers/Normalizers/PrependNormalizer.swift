/// `Prepend`: puts a text in front of every text that is not empty.
struct PrependNormalizer: Normalizer {
  let prefix: [UInt8]

  func normalize(_ text: inout NormalizedText, with scratch: PatternScratch) {
    guard !text.bytes.isEmpty else { return }
    text.bytes.insert(contentsOf: prefix, at: 0)
    if text.startLength > 0 { text.startLength += prefix.count }
  }
}
