import Tensors

/// A permutation of `0..<count` that is a function of its seed and takes no memory: a Feistel network over the next power of four, walked
/// until it lands inside (Black and Rogaway 2002, "Ciphers with arbitrary finite domains").
struct SeededPermutation: Sendable {
  let count: Int
  private let halfBits: UInt64
  private let seed: UInt64
  private static let rounds: UInt64 = 6

  init(count: Int, seed: UInt64) {
    self.count = count
    let bits = UInt64(Int.bitWidth - max(1, count - 1).leadingZeroBitCount)
    halfBits = max(1, (bits + 1) / 2)
    self.seed = seed
  }

  /// Where `index` goes.
  subscript(index: Int) -> Int {
    var value = UInt64(index)
    // The network permutes its whole domain, so the walk comes back inside; the domain is at most four times as large.
    repeat { value = turned(value) } while value >= UInt64(count)
    return Int(value)
  }

  private func turned(_ value: UInt64) -> UInt64 {
    let mask = (UInt64(1) << halfBits) - 1
    var (left, right) = (value >> halfBits, value & mask)
    for round in 0..<Self.rounds {
      let key = SeededRandom.value(seed: seed, index: round)
      // The upper bits of a mixed counter are the better ones.
      (left, right) = (right, left ^ (SeededRandom.value(seed: key, index: right) >> 32 & mask))
    }
    return left << halfBits | right
  }
}

extension Array {
  /// The elements in the order that a seed gives, on every platform and with every standard library.
  func shuffled(seed: UInt64) -> [Element] {
    let permutation = SeededPermutation(count: count, seed: seed)
    return indices.map { self[permutation[$0]] }
  }
}
