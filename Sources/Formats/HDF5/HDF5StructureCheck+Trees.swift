extension HDF5StructureCheck {
  /// A B-tree, version 1: the library goes down from node to node by a call for each, and takes it that there is a bottom.
  struct Tree {
    /// 0: symbols of a group; 1: chunks.
    let kind: Int
    let keySize: Int
    /// How long the names of a group are, all together.
    var namesSize = 0
  }

  /// Whether every node lies inside the file, below one of the next higher level, and the names of a group's symbols in its heap.
  func isSound(_ tree: Tree, at root: Int) -> Bool {
    guard let level = bytes.number(at: root + 5, 1) else { return false }
    // Nodes that share bytes would make a small file unfold into a large tree.
    var room = bytes.count
    var waiting = [(node: root, level: level)]
    while let (node, level) = waiting.popLast() {
      guard bytes.has("TREE", at: node), bytes.number(at: node + 4, 1) == tree.kind, bytes.number(at: node + 5, 1) == level,
        let count = bytes.number(at: node + 6, 2)
      else { return false }
      let size = 24 + tree.keySize + count * (tree.keySize + 8)
      guard bytes.range(at: node, size) != nil, size <= room else { return false }
      room -= size
      for index in 0..<count {
        guard let child = bytes.number(at: node + 24 + tree.keySize + index * (tree.keySize + 8), 8) else { return false }
        if level > 0 {
          waiting.append((child, level - 1))
        } else if tree.kind == 0, !hasSoundSymbols(at: child, namesSize: tree.namesSize, room: &room) {
          return false
        }
      }
    }
    return true
  }

  /// Symbol table node: entries of 40 bytes, which begin with where the name is in the heap. That of a soft link says where its target is, too.
  private func hasSoundSymbols(at node: Int, namesSize: Int, room: inout Int) -> Bool {
    guard bytes.has("SNOD", at: node), let count = bytes.number(at: node + 6, 2), bytes.range(at: node, 8 + count * 40) != nil,
      8 + count * 40 <= room
    else { return false }
    room -= 8 + count * 40
    return stride(from: node + 8, to: node + 8 + count * 40, by: 40).allSatisfy { entry in
      guard let name = bytes.number(at: entry, 8), let kind = bytes.number(at: entry + 16, 4), let target = bytes.number(at: entry + 24, 4)
      else { return false }
      return name < namesSize && (kind != 2 || target < namesSize)
    }
  }
}
