extension HDF5StructureCheck {
  /// Link info and attribute info messages: the fractal heap that holds a group's links or an object's attributes when they are many, and the
  /// B-trees that order them, have blocks that the file could hold.
  /// - Parameter indexLength: how many bytes the largest creation index takes, when there is one.
  func hasSoundHeap(_ body: Range<Int>, indexLength: Int) -> Bool {
    guard let flags = bytes.number(at: body.lowerBound + 1, 1) else { return false }
    let heapAt = body.lowerBound + 2 + (flags & 1 != 0 ? indexLength : 0)
    let end = heapAt + (flags & 2 != 0 ? 24 : 16)
    guard end <= body.upperBound else { return false }
    // All bits set stand for no address, and fit into no Int.
    if let heap = bytes.number(at: heapAt, 8), !isSoundHeap(at: heap) { return false }
    return stride(from: heapAt + 8, to: end, by: 8).allSatisfy { bytes.number(at: $0, 8).map(isSoundTree) ?? true }
  }

  /// Fractal heap header. Its blocks double in size from row to row, up to a greatest one; the block above them holds their addresses.
  private func isSoundHeap(at heap: Int) -> Bool {
    guard bytes.has("FRHP", at: heap), let width = bytes.number(at: heap + 110, 2), let first = bytes.number(at: heap + 112, 8),
      let greatest = bytes.number(at: heap + 120, 8), let rows = bytes.number(at: heap + 140, 2)
    else { return false }
    return isPlausible(first) && isPlausible(greatest) && isPlausible(rows * width * 8)
  }

  /// B-tree header, version 2: its nodes hold two records with what stands around them, and lie in fewer levels than any file needs.
  func isSoundTree(at tree: Int) -> Bool {
    guard bytes.has("BTHD", at: tree), let size = bytes.number(at: tree + 6, 4), let record = bytes.number(at: tree + 10, 2),
      let depth = bytes.number(at: tree + 12, 2)
    else { return false }
    // A node has a signature, a version, a kind and a checksum; beside each record there are an address and two counts.
    return isPlausible(size) && 10 + 2 * record + 3 * 24 <= size && depth <= 32
  }

  /// Fixed array header: the entries for chunks that are all there from the start.
  func isSoundArray(at array: Int) -> Bool {
    guard bytes.has("FAHD", at: array), let entry = bytes.number(at: array + 6, 1), let count = bytes.number(at: array + 8, 8) else {
      return false
    }
    let (size, overflow) = count.multipliedReportingOverflow(by: entry)
    return !overflow && isPlausible(size)
  }
}
