extension HDF5StructureCheck {
  /// What a fractal heap holds when they are many: links or attributes, as messages, and the B-trees that order them by name and by creation.
  enum Dense {
    case links
    case attributes

    /// How many bytes the largest creation index takes in the message, when there is one.
    fileprivate var indexLength: Int { self == .links ? 8 : 2 }

    /// The records, and where in them an object of the heap is named.
    fileprivate var trees: [(records: Records, idAt: Int)] {
      self == .links
        ? [(Records(kind: 5, size: 11), 4), (Records(kind: 6, size: 15), 8)]
        : [(Records(kind: 8, size: 17), 0), (Records(kind: 9, size: 13), 0)]
    }
  }

  /// Link info and attribute info messages: the heap that holds a group's links or an object's attributes, and its trees, are what they should be, and
  /// so are the messages that the trees lead to.
  func hasSoundHeap(_ body: Range<Int>, _ dense: Dense) -> Bool {
    guard let flags = bytes.number(at: body.lowerBound + 1, 1) else { return false }
    let heapAt = body.lowerBound + 2 + (flags & 1 != 0 ? dense.indexLength : 0)
    let end = heapAt + (flags & 2 != 0 ? 24 : 16)
    guard end <= body.upperBound else { return false }
    // All bits set stand for no address, and fit into no Int.
    guard let address = bytes.number(at: heapAt, 8) else { return true }
    guard let heap = heap(at: address) else { return false }
    return zip(stride(from: heapAt + 8, to: end, by: 8), dense.trees).allSatisfy { position, tree in
      guard let root = bytes.number(at: position, 8) else { return true }
      return isSoundTree(of: tree.records, at: root) { record in
        guard let object = heap.object(at: record + tree.idAt, in: bytes) else { return false }
        return dense == .links ? isSoundLink(object) : isSoundAttribute(object)
      }
    }
  }

  /// Nil when the header is damaged, or the heap filtered, as no known writer makes it.
  private func heap(at heap: Int) -> HDF5Heap? {
    guard bytes.has("FRHP", at: heap), bytes.number(at: heap + 7, 2) == 0, let largest = bytes.number(at: heap + 10, 4),
      let width = bytes.number(at: heap + 110, 2), let first = bytes.number(at: heap + 112, 8),
      let greatest = bytes.number(at: heap + 120, 8), let bits = bytes.number(at: heap + 128, 2), let rows = bytes.number(at: heap + 140, 2)
    else { return nil }
    guard [width, first, greatest].allSatisfy({ $0 > 0 && $0 & ($0 - 1) == 0 }), first <= greatest, isPlausible(greatest), bits <= 62 else {
      return nil
    }
    var result = HDF5Heap(width: width, first: first, greatest: greatest, bits: bits, rows: rows, root: bytes.number(at: heap + 132, 8))
    result.lengthLength = min((greatest.trailingZeroBitCount + 7) / 8, Self.length(of: largest))
    // As many rows as the bits of an offset have room for: the library has made a table of those, with rows of direct blocks before others.
    let room = bits - (first * width).trailingZeroBitCount + 1
    guard rows <= room, result.directRows <= room, isPlausible(rows * width * 8) else { return nil }
    // What is too large for a block lies elsewhere: an address, a length, a number.
    guard let tree = bytes.number(at: heap + 22, 8) else { return result }
    let isSound = isSoundTree(of: Records(kind: 1, size: 24), at: tree) { record in
      guard let address = bytes.number(at: record, 8), let length = bytes.number(at: record + 8, 8),
        let object = bytes.range(at: address, length),
        let number = bytes.number(at: record + 16, 8)
      else { return false }
      result.huge[number] = object
      return true
    }
    return isSound ? result : nil
  }
}
