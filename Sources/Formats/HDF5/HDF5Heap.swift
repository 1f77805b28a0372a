/// A fractal heap, as far as it takes to find an object in it.
///
/// HDF5 File Format Specification, version 3.0, section III.G: blocks of two sizes alike, then of twice the size from row to row, `width` in each; from
/// some row on such a block is a table of blocks again. An object's offset counts all bytes of the blocks before it.
struct HDF5Heap {
  let width: Int
  /// The sizes of the first and of the greatest block that holds objects.
  let first: Int
  let greatest: Int
  /// Those of an offset.
  let bits: Int
  /// How many rows the outermost table has; 0 when there is one block.
  let rows: Int
  let root: Int?
  /// How many bytes the length of an object takes.
  var lengthLength = 0
  /// Objects too large for a block, by their number.
  var huge: [Int: Range<Int>] = [:]

  private var offsetLength: Int { (bits + 7) / 8 }

  /// So many rows of a table are blocks of objects, not tables.
  var directRows: Int { greatest.trailingZeroBitCount - first.trailingZeroBitCount + 2 }

  /// The object that is named there; nil when it lies outside of its block.
  func object(at id: Int, in bytes: HDF5RawBytes) -> Range<Int>? {
    // Four bits of flags: a version, 0, and a kind. Objects small enough to stand in the name itself are no messages.
    guard let flags = bytes.number(at: id, 1) else { return nil }
    if flags >> 4 == 1 { return bytes.number(at: id + 1, 7).flatMap { huge[$0] } }
    guard flags >> 4 == 0, let offset = bytes.number(at: id + 1, offsetLength),
      let length = bytes.number(at: id + 1 + offsetLength, lengthLength), let (block, size, start) = block(of: offset, in: bytes),
      // A signature, a version, the heap's address, the block's offset.
      start >= 13 + offsetLength, length <= size - start
    else { return nil }
    return bytes.range(at: block + start, length)
  }

  /// The block that holds an offset, its size, and where in it that is.
  private func block(of offset: Int, in bytes: HDF5RawBytes) -> (block: Int, size: Int, start: Int)? {
    guard var table = root else { return nil }
    var (offset, rows) = (offset, rows)
    guard rows > 0 else { return isBlock("FHDB", table, first, bytes) && offset < first ? (table, first, offset) : nil }
    while true {
      let isLow = offset < first * width
      let row = isLow ? 0 : Int.bitWidth - offset.leadingZeroBitCount - (first * width).trailingZeroBitCount
      guard row < rows, bytes.has("FHIB", at: table) else { return nil }
      let size = isLow ? first : first << (row - 1)
      let rest = isLow ? offset : offset - size * width
      let entry = table + 13 + offsetLength + 8 * (row * width + rest / size)
      guard let child = bytes.number(at: entry, 8) else { return nil }
      offset = rest % size
      guard row >= directRows else { return isBlock("FHDB", child, size, bytes) ? (child, size, offset) : nil }
      // A table that takes as much of the offsets as a block would; of fewer rows than the one that it is in.
      table = child
      rows = size.trailingZeroBitCount - (first * width).trailingZeroBitCount + 1
    }
  }

  private func isBlock(_ signature: String, _ position: Int, _ size: Int, _ bytes: HDF5RawBytes) -> Bool {
    bytes.has(signature, at: position) && bytes.range(at: position, size) != nil
  }
}
