/// A tensor's name as a key. Names are equal when their bytes are: `String` calls the composed and the decomposed form of a letter the same,
/// and a checkpoint may hold both.
package struct TensorName: Hashable, Sendable {
  package let text: String

  package init(_ text: String) { self.text = text }

  package static func == (left: Self, right: Self) -> Bool {
    let (first, second) = (left.text.utf8, right.text.utf8)
    guard first.count == second.count else { return false }
    let isEqual = first.withContiguousStorageIfAvailable { left in
      second.withContiguousStorageIfAvailable { right in hasSameBytes(UnsafeRawBufferPointer(left), UnsafeRawBufferPointer(right)) }
    }
    return (isEqual ?? nil) ?? first.elementsEqual(second)
  }

  /// Of two runs of as many bytes, eight at a time.
  private static func hasSameBytes(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    var place = 0
    while place + 8 <= left.count {
      guard left.loadUnaligned(fromByteOffset: place, as: UInt64.self) == right.loadUnaligned(fromByteOffset: place, as: UInt64.self) else {
        return false
      }
      place += 8
    }
    while place < left.count {
      guard left[place] == right[place] else { return false }
      place += 1
    }
    return true
  }

  package func hash(into hasher: inout Hasher) {
    // All bytes at once: one at a time took a quarter of the time of planning a large model.
    let isHashed: Void? = text.utf8.withContiguousStorageIfAvailable { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    if isHashed == nil { Array(text.utf8).withUnsafeBytes { hasher.combine(bytes: $0) } }
  }
}
