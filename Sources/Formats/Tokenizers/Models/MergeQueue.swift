/// A token of a word while it is merged: linked to its neighbours by their indices, -1 where there is none.
struct MergeSymbol {
  var id: Int32
  var previous: Int32
  var next: Int32
  var isRemoved = false
}

/// Possible merges, lowest rank first, leftmost first within a rank: a binary heap.
struct MergeQueue {
  struct Candidate {
    /// The rank above, the position of the left symbol below.
    var order: UInt64
    /// What the pair became when the candidate was found.
    var id: Int32

    init(rank: UInt32, position: Int, id: Int32) {
      order = UInt64(rank) << 32 | UInt64(UInt32(truncatingIfNeeded: position))
      self.id = id
    }

    var position: Int { Int(order & 0xFFFF_FFFF) }
  }

  private var heap: [Candidate] = []

  mutating func removeAll() { heap.removeAll(keepingCapacity: true) }

  mutating func push(_ candidate: Candidate) {
    heap.append(candidate)
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      if heap[parent].order <= candidate.order { break }
      heap[child] = heap[parent]
      child = parent
    }
    heap[child] = candidate
  }

  mutating func pop() -> Candidate? {
    guard let top = heap.first, let last = heap.popLast() else { return nil }
    if heap.isEmpty { return top }
    var parent = 0
    while true {
      var child = parent * 2 + 1
      guard child < heap.count else { break }
      if child + 1 < heap.count, heap[child + 1].order < heap[child].order { child += 1 }
      if last.order <= heap[child].order { break }
      heap[parent] = heap[child]
      parent = child
    }
    heap[parent] = last
    return top
  }
}
