extension HDF5StructureCheck {
  /// What a B-tree, version 2, holds. The library decodes and compares what the tree's header says that it has, whatever was asked for.
  struct Records {
    let kind: Int
    let size: Int
  }

  /// Whether the header is that of a tree of such records, and no node holds more of them than fit, lies outside the file, or is reached twice: the
  /// library makes room for as many as fit and decodes as many as are said to be there.
  /// - Parameter isSound: whether the record there is.
  func isSoundTree(of records: Records, at tree: Int, where isSound: (_ record: Int) -> Bool = { _ in true }) -> Bool {
    guard bytes.has("BTHD", at: tree), bytes.number(at: tree + 5, 1) == records.kind, let size = bytes.number(at: tree + 6, 4),
      isPlausible(size), bytes.number(at: tree + 10, 2) == records.size, let depth = bytes.number(at: tree + 12, 2),
      let count = bytes.number(at: tree + 24, 2), let levels = Self.levels(0...depth, of: records.size, in: size)
    else { return false }
    guard let root = bytes.number(at: tree + 16, 8), count > 0 else { return count == 0 && depth == 0 }
    // Nodes that share bytes would make a small file unfold into a large tree.
    var room = bytes.count
    var waiting = [(node: root, count: count, level: depth)]
    while let (node, count, level) = waiting.popLast() {
      guard bytes.has(level > 0 ? "BTIN" : "BTLF", at: node), bytes.range(at: node, size) != nil, size <= room,
        count <= levels[level].capacity
      else { return false }
      room -= size
      let children = node + 6 + count * records.size
      guard stride(from: node + 6, to: children, by: records.size).allSatisfy(isSound) else { return false }
      guard level > 0 else { continue }
      for child in stride(from: children, through: children + count * levels[level].pointer, by: levels[level].pointer) {
        guard let address = bytes.number(at: child, 8), let count = bytes.number(at: child + 8, levels[level].countLength) else {
          return false
        }
        waiting.append((address, count, level - 1))
      }
    }
    return true
  }

  /// How many records a node of a level holds, how long a pointer in it is to one below, and the count of records in that.
  private struct Level {
    let capacity: Int
    let pointer: Int
    let countLength: Int
  }

  /// Nil when two records do not fit into a node, or more into the tree than can be counted. A node has a signature, a version, a kind and a
  /// checksum; a pointer an address, the records of the node, and above the lowest nodes of all those below it.
  private static func levels(_ depths: ClosedRange<Int>, of recordSize: Int, in size: Int) -> [Level]? {
    guard depths.upperBound <= 32, size >= 10 else { return nil }
    let lowest = (size - 10) / recordSize
    let countLength = length(of: lowest)
    var (total, totalLength) = (lowest, 0)
    var levels = [Level(capacity: lowest, pointer: 0, countLength: 0)]
    for _ in depths.dropFirst() {
      let pointer = 8 + countLength + totalLength
      let capacity = (size - 10 - pointer) / (recordSize + pointer)
      let (below, overflow) = (capacity + 1).multipliedReportingOverflow(by: total)
      guard capacity >= 2, !overflow, below <= Int.max - capacity else { return nil }
      total = below + capacity
      totalLength = length(of: total)
      levels.append(Level(capacity: capacity, pointer: pointer, countLength: countLength))
    }
    return lowest >= 2 ? levels : nil
  }

  /// How many bytes a number takes.
  static func length(of number: Int) -> Int { max(1, (Int.bitWidth - number.leadingZeroBitCount + 7) / 8) }
}
