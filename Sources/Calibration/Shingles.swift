import Tensors

/// The runs of five tokens that a window holds, as a sorted set of their hashes.
enum Shingles {
  /// Tokens of a run; a shorter window is one run.
  static let width = 5

  /// - Parameter seed: of the hash, which is a chain of mixed counters.
  static func hashes(of tokens: [Int32], seed: UInt64) -> [UInt64] {
    let count = max(1, tokens.count - width + 1)
    var hashes: [UInt64] = []
    hashes.reserveCapacity(count)
    for start in 0..<count {
      var hash = seed
      for token in tokens[start..<min(start + width, tokens.count)] {
        hash = SeededRandom.value(seed: hash, index: UInt64(UInt32(bitPattern: token)))
      }
      hashes.append(hash)
    }
    hashes.sort()
    var distinct: [UInt64] = []
    distinct.reserveCapacity(count)
    for hash in hashes where hash != distinct.last { distinct.append(hash) }
    return distinct
  }

  /// Common elements over all elements of two sorted sets.
  static func similarity(_ left: [UInt64], _ right: [UInt64]) -> Double {
    var (i, j, common) = (0, 0, 0)
    while i < left.count, j < right.count {
      if left[i] == right[j] { common += 1 }
      let ahead = left[i] >= right[j]
      if left[i] <= right[j] { i += 1 }
      if ahead { j += 1 }
    }
    let all = left.count + right.count - common
    return all == 0 ? 1 : Double(common) / Double(all)
  }
}
