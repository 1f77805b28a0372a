/// The first steps of `BertNormalizer`: control characters go, white space of any kind becomes a space, and Chinese characters stand by themselves.
/// Accents and case are taken away by normalizers of their own.
struct BertNormalizer: Normalizer {
  let cleans: Bool
  let separatesChinese: Bool

  private static let dropped = ScalarBitmap(CharacterProperties.bertControl)
  private static let whitespace = ScalarBitmap(CharacterProperties.whitespace)
  private static let chinese = ScalarBitmap(
    ScalarSet(merging: [
      0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFAFF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F, 0x2B920...0x2CEAF,
      0x2F800...0x2FA1F,
    ]))

  func normalize(_ text: inout NormalizedText, with scratch: PatternScratch) {
    var output: [UInt8] = []
    output.reserveCapacity(text.bytes.count)
    var startLength = 0
    let space = UInt8(ascii: " ")
    text.bytes.withUnsafeBufferPointer { bytes in
      var position = 0
      while position < bytes.count {
        let scalar = bytes.scalar(at: position)
        let end = position + scalar.length
        defer { position = end }
        if cleans {
          if Self.dropped.contains(scalar.value) { continue }
          if Self.whitespace.contains(scalar.value) {
            output.append(space)
            if position < text.startLength { startLength = output.count }
            continue
          }
        }
        if separatesChinese, Self.chinese.contains(scalar.value) {
          output.append(space)
          output += bytes[position..<end]
          output.append(space)
        } else {
          output += bytes[position..<end]
        }
        if position < text.startLength { startLength = output.count }
      }
    }
    text.bytes = output
    text.startLength = startLength
  }

  /// The normalizers that the component stands for.
  static func normalizers(_ component: TokenizerComponent) throws(TokenizerError) -> [any Normalizer] {
    let lowercases = try component.bool("lowercase", default: true)
    var result: [any Normalizer] = [
      BertNormalizer(
        cleans: try component.bool("clean_text", default: true), separatesChinese: try component.bool("handle_chinese_chars", default: true)
      )
    ]
    // What is not said goes with the case.
    if try component.bool("strip_accents", default: lowercases) {
      result += [UnicodeNormalizer(.decomposed, compatible: false), StripAccentsNormalizer(marks: .bert)]
    }
    return lowercases ? result + [LowercaseNormalizer()] : result
  }
}
