/// Finds the longest of many texts at a position.
struct TokenTrie: Sendable {
  private struct Node: Sendable {
    /// Sorted by byte.
    var children: [(byte: UInt8, node: Int32)] = []
    var id: Int32?
  }

  private var nodes = [Node()]
  /// The bytes that any text begins with: most positions are dismissed by them.
  private var isFirst = [Bool](repeating: false, count: 256)

  var isEmpty: Bool { nodes.count == 1 }

  mutating func insert(_ text: [UInt8], id: Int32) {
    guard let first = text.first else { return }
    isFirst[Int(first)] = true
    var node = 0
    for byte in text {
      if let child = child(of: node, byte) {
        node = child
      } else {
        nodes.append(Node())
        let position = nodes[node].children.firstIndex { $0.byte > byte } ?? nodes[node].children.count
        nodes[node].children.insert((byte, Int32(nodes.count - 1)), at: position)
        node = nodes.count - 1
      }
    }
    nodes[node].id = id
  }

  private func child(of node: Int, _ byte: UInt8) -> Int? {
    let children = nodes[node].children
    var low = 0
    var high = children.count
    while low < high {
      let middle = (low + high) / 2
      if children[middle].byte < byte { low = middle + 1 } else { high = middle }
    }
    return low < children.count && children[low].byte == byte ? Int(children[low].node) : nil
  }

  /// The leftmost occurrence at or behind a position, the longest one there.
  func search(_ text: UnsafeBufferPointer<UInt8>, from: Int) -> (start: Int, end: Int, id: Int32)? {
    isFirst.withUnsafeBufferPointer { isFirst in
      for start in from..<text.count where isFirst[Int(text[start])] {
        var node = 0
        var found: (end: Int, id: Int32)?
        for position in start..<text.count {
          guard let next = child(of: node, text[position]) else { break }
          node = next
          if let id = nodes[node].id { found = (position + 1, id) }
        }
        if let found { return (start, found.end, found.id) }
      }
      return nil
    }
  }
}
