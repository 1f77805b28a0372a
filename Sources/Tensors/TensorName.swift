/// A tensor's name as a key. Names are equal when their bytes are: `String` calls the composed and the decomposed form of a letter the same,
/// and a checkpoint may hold both.
package struct TensorName: Hashable, Sendable {
  package let text: String

  package init(_ text: String) { self.text = text }

  package static func == (left: Self, right: Self) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

  package func hash(into hasher: inout Hasher) {
    for byte in text.utf8 { hasher.combine(byte) }
  }
}
