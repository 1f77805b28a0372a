extension HDF5StructureCheck {
  /// What a fractal heap holds when they are many, and the B-trees that order it by name and by creation.
  struct Dense {
    /// How many bytes the largest creation index takes in the message, when there is one.
    let indexLength: Int
    let trees: [Records]

    static let links = Dense(indexLength: 8, trees: [Records(kind: 5, size: 11), Records(kind: 6, size: 15)])
    static let attributes = Dense(indexLength: 2, trees: [Records(kind: 8, size: 17), Records(kind: 9, size: 13)])
  }

  /// Link info and attribute info messages: the heap that holds a group's links or an object's attributes, and its trees, are what they should be.
  func hasSoundHeap(_ body: Range<Int>, _ dense: Dense) -> Bool {
    guard let flags = bytes.number(at: body.lowerBound + 1, 1) else { return false }
    let heapAt = body.lowerBound + 2 + (flags & 1 != 0 ? dense.indexLength : 0)
    let end = heapAt + (flags & 2 != 0 ? 24 : 16)
    guard end <= body.upperBound else { return false }
    // All bits set stand for no address, and fit into no Int.
    if let heap = bytes.number(at: heapAt, 8), !isSoundHeap(at: heap) { return false }
    return zip(stride(from: heapAt + 8, to: end, by: 8), dense.trees).allSatisfy { position, records in
      bytes.number(at: position, 8).map { isSoundTree(of: records, at: $0) } ?? true
    }
  }

  /// Fractal heap header. Its blocks double in size from row to row, up to a greatest one; the block above them holds their addresses. What is
  /// too large for a block lies elsewhere, found by a tree.
  private func isSoundHeap(at heap: Int) -> Bool {
    guard bytes.has("FRHP", at: heap), let filters = bytes.number(at: heap + 7, 2), let width = bytes.number(at: heap + 110, 2),
      let first = bytes.number(at: heap + 112, 8), let greatest = bytes.number(at: heap + 120, 8),
      let bits = bytes.number(at: heap + 128, 2),
      let rows = bytes.number(at: heap + 140, 2)
    else { return false }
    guard [width, first, greatest].allSatisfy({ $0 > 0 && $0 & ($0 - 1) == 0 }), first <= greatest, isPlausible(greatest), bits <= 64 else {
      return false
    }
    // As many rows as the bits of an offset have room for: the library has made a table of those, with rows of direct blocks before others.
    let (startBits, greatestBits) = (first.trailingZeroBitCount, greatest.trailingZeroBitCount)
    let room = bits - width.trailingZeroBitCount - startBits + 1
    guard rows <= room, greatestBits - startBits + 2 <= room, isPlausible(rows * width * 8) else { return false }
    let huge = filters == 0 ? Records(kind: 1, size: 24) : Records(kind: 2, size: 36)
    return bytes.number(at: heap + 22, 8).map { isSoundTree(of: huge, at: $0) } ?? true
  }
}
