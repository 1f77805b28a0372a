import Testing

/// Memory with canaries on both sides, for finding writes outside of what a kernel was given.
final class GuardedArray<Element: BitwiseCopyable & Equatable> {
  private static var room: Int { 64 }
  private let canary: Element
  private let storage: UnsafeMutablePointer<Element>
  let count: Int

  init(count: Int, canary: Element) {
    self.count = count
    self.canary = canary
    storage = .allocate(capacity: count + 2 * Self.room)
    storage.initialize(repeating: canary, count: count + 2 * Self.room)
  }

  convenience init(_ elements: [Element], canary: Element) {
    self.init(count: elements.count, canary: canary)
    for (index, element) in elements.enumerated() { self[index] = element }
  }

  deinit { storage.deallocate() }

  var pointer: UnsafeMutablePointer<Element> { storage + Self.room }
  var elements: [Element] { Array(UnsafeBufferPointer(start: pointer, count: count)) }

  subscript(index: Int) -> Element {
    get { pointer[index] }
    set { pointer[index] = newValue }
  }

  func expectIntact(_ label: String, sourceLocation: SourceLocation = #_sourceLocation) {
    let outside = (0..<Self.room).map { storage[$0] } + (0..<Self.room).map { storage[Self.room + count + $0] }
    #expect(outside.allSatisfy { $0 == canary }, "\(label) wrote outside", sourceLocation: sourceLocation)
  }
}

/// Scratch of the alignment the kernels ask for, filled with not-a-numbers: what was not written must not be used.
final class Scratch {
  let pointer: UnsafeMutableRawPointer

  init(bytes: Int64) {
    pointer = .allocate(byteCount: Int(bytes), alignment: 64)
    pointer.initializeMemory(as: UInt8.self, repeating: 0xff, count: Int(bytes))
  }

  deinit { pointer.deallocate() }
}
