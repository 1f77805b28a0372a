/// A set of scalars made for quick tests on UTF-8: one bit each for the basic plane, a binary search beyond.
struct ScalarBitmap: Sendable {
  private let words: [UInt64]
  private let astral: ScalarSet

  init(_ set: ScalarSet) {
    var words = [UInt64](repeating: 0, count: 1024)
    for range in set.ranges where range.lowerBound < 0x10000 {
      for scalar in range.lowerBound...min(range.upperBound, 0xFFFF) { words[Int(scalar >> 6)] |= 1 << UInt64(scalar & 63) }
    }
    self.words = words
    astral = set.intersection(ScalarSet(0x10000...ScalarSet.maximum))
  }

  func contains(_ scalar: UInt32) -> Bool {
    scalar < 0x10000 ? words[Int(scalar >> 6)] >> UInt64(scalar & 63) & 1 == 1 : astral.contains(scalar)
  }

  /// The bits of the basic plane, for the matcher's own tables.
  var basicPlane: [UInt64] { words }
}

extension UnsafeBufferPointer<UInt8> {
  /// The scalar that starts at an offset and its length in bytes. The bytes are UTF-8; a cut sequence reads as U+FFFD.
  @inline(__always)
  func scalar(at offset: Int) -> (value: UInt32, length: Int) {
    let first = UInt32(self[offset])
    if first < 0x80 { return (first, 1) }
    let length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
    guard offset + length <= count else { return (0xFFFD, 1) }
    var value = first & (0x7F >> UInt32(length))
    for index in 1..<length { value = value << 6 | UInt32(self[offset + index] & 0x3F) }
    return (value, length)
  }

  /// The offset of the scalar that ends at an offset greater than 0.
  @inline(__always)
  func scalarStart(before offset: Int) -> Int {
    var start = offset - 1
    while start > 0, self[start] & 0xC0 == 0x80 { start -= 1 }
    return start
  }

  /// The part of the buffer between two offsets, as a buffer of its own.
  @inline(__always)
  func part(_ start: Int, _ end: Int) -> UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(rebasing: self[start..<end]) }
}
