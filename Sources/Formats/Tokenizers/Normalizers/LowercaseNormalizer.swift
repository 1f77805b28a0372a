/// `Lowercase`: each scalar's full lower case, without regard to its neighbours.
struct LowercaseNormalizer: Normalizer {
  func normalize(_ text: inout NormalizedText, with scratch: PatternScratch) {
    var output: [UInt8] = []
    output.reserveCapacity(text.bytes.count)
    var startLength = 0
    text.bytes.withUnsafeBufferPointer { bytes in
      var position = 0
      while position < bytes.count {
        if position == text.startLength { startLength = output.count }
        let scalar = bytes.scalar(at: position)
        if scalar.value < 0x80 {
          output.append(UInt8(scalar.value) | (UInt8(ascii: "A")...UInt8(ascii: "Z") ~= UInt8(scalar.value) ? 0x20 : 0))
        } else if let value = Unicode.Scalar(scalar.value) {
          output += value.properties.lowercaseMapping.utf8
        }
        position += scalar.length
      }
    }
    if text.startLength >= text.bytes.count { startLength = output.count }
    text.bytes = output
    text.startLength = text.startLength > 0 ? startLength : 0
  }
}
