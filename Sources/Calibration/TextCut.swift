import Diagnostics

/// UTF-8 text cut into pieces of about one size: every byte is in exactly one, and a piece begins where a line does, or at least a word,
/// or (in text without either) a character.
struct TextCut: Sendable {
  /// Where the text is.
  let bounds: Range<Int>
  /// Bytes of a piece.
  let size: Int

  init(_ bounds: Range<Int>, size: Int) {
    self.bounds = bounds
    self.size = max(64, size)
  }

  var count: Int { bounds.count / size + (bounds.count % size == 0 ? 0 : 1) }

  /// How far behind its nominal place a piece may begin.
  private var slack: Int { min(4096, size / 4) }

  /// The bytes of one piece, by way of a reader of ranges; empty when its only lines began earlier.
  func piece<E: Error>(_ index: Int, read: (Range<Int>) throws(E) -> [UInt8]) throws(E) -> ArraySlice<UInt8> {
    let start = bounds.lowerBound + index * size
    let end = min(start + size, bounds.upperBound)
    let bytes = try read(start..<min(end + slack, bounds.upperBound))
    let first = index == 0 ? 0 : Self.boundary(in: bytes[..<min(slack, bytes.count)])
    let last = end == bounds.upperBound ? bytes.count : end - start + Self.boundary(in: bytes[(end - start)...])
    return bytes[min(first, last)..<last]
  }

  /// The offset of the first good place to cut.
  private static func boundary(in bytes: ArraySlice<UInt8>) -> Int {
    let start = bytes.startIndex
    if let line = bytes.firstIndex(of: UInt8(ascii: "\n")) { return line + 1 - start }
    // Byte-pair vocabularies hold words with the space before them.
    if let word = bytes.firstIndex(of: UInt8(ascii: " ")) { return word - start }
    return bytes.firstIndex { $0 & 0xC0 != 0x80 }.map { $0 - start } ?? bytes.count
  }
}
