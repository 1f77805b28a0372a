import Tensors

/// Signatures whose agreement estimates the Jaccard similarity of sets (Broder 1997), banded so that similar ones meet in a table.
struct MinHash: Sendable {
  /// Hash functions, hence numbers of a signature.
  static let length = 128
  /// Numbers of a band: two signatures meet when all numbers of some band agree.
  let rows: Int
  private let multipliers: [UInt64]
  private let offsets: [UInt64]
  private let bandSeed: UInt64

  /// - Parameter threshold: the similarity at which a meeting must all but surely happen; below about 0.1 bands of one number miss more.
  init(threshold: Double, seed: UInt64) {
    // The longest band that misses fewer than one pair in a million at the threshold.
    rows =
      [16, 8, 4, 2].first { rows in
        var meets = 1.0
        for _ in 0..<rows { meets *= threshold }
        var misses = 1.0
        for _ in 0..<Self.length / rows { misses *= 1 - meets }
        return misses < 1e-6
      } ?? 1
    multipliers = (0..<UInt64(Self.length)).map { SeededRandom.value(seed: seed, index: 2 * $0) | 1 }
    offsets = (0..<UInt64(Self.length)).map { SeededRandom.value(seed: seed, index: 2 * $0 + 1) }
    bandSeed = SeededRandom.value(seed: seed, index: UInt64(2 * Self.length))
  }

  /// The least value of every hash function over the set.
  func signature(of set: [UInt64]) -> [UInt32] {
    (0..<Self.length).map { index in
      let (multiplier, offset) = (multipliers[index], offsets[index])
      var least = UInt64.max
      for element in set { least = min(least, element &* multiplier &+ offset) }
      return UInt32(least >> 32)
    }
  }

  /// A key for every band of a signature.
  func bandKeys(of signature: [UInt32]) -> [UInt64] {
    stride(from: 0, to: Self.length, by: rows).map { start in
      var key = SeededRandom.value(seed: bandSeed, index: UInt64(start))
      for value in signature[start..<start + rows] { key = SeededRandom.value(seed: key, index: UInt64(value)) }
      return key
    }
  }

  /// How similar two sets seem by their signatures.
  static func estimate(_ left: [UInt32], _ right: [UInt32]) -> Double {
    var equal = 0
    for index in 0..<min(left.count, right.count) where left[index] == right[index] { equal += 1 }
    return Double(equal) / Double(length)
  }
}
