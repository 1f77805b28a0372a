import Tensors

/// Keeps windows that are unlike each other, in the order they come. Signatures find what may be alike, and whether it is, the shingles
/// themselves decide: nothing is dropped below the threshold. A pair at or above it is missed when its signatures do not meet, or look less
/// alike by more than five standard deviations: about one pair in a million. Nothing depends on the order of a hash table.
struct DuplicateFilter {
  private(set) var kept: [[Int32]] = []
  private(set) var exactDuplicates = 0
  private(set) var nearDuplicates = 0

  private let threshold: Double
  private let seed: UInt64
  private let minHash: MinHash
  private var signatures: [[UInt32]] = []
  /// The last entry of every band key; entries of one key are chained.
  private var heads: [UInt64: Int32] = [:]
  private var entries: [(window: Int32, previous: Int32)] = []
  /// For every kept window, the last offered one that it was compared with.
  private var compared: [Int] = []
  private var offered = 0

  init(threshold: Double, seed: UInt64) {
    self.threshold = threshold
    self.seed = SeededRandom.value(seed: seed, index: 0)
    minHash = MinHash(threshold: threshold, seed: SeededRandom.value(seed: seed, index: 1))
  }

  /// Keeps a window, unless one like it was kept. Returns whether it did.
  @discardableResult
  mutating func insert(_ window: [Int32]) -> Bool {
    let shingles = Shingles.hashes(of: window, seed: seed)
    let signature = minHash.signature(of: shingles)
    let keys = minHash.bandKeys(of: signature)
    offered += 1
    var isNear = false
    for key in keys {
      var next = heads[key] ?? -1
      while next >= 0 {
        let entry = entries[Int(next)]
        next = entry.previous
        let other = Int(entry.window)
        guard compared[other] != offered else { continue }
        compared[other] = offered
        // Equal windows meet in every band, so the first chain finds them.
        if kept[other] == window {
          exactDuplicates += 1
          return false
        }
        // Five standard deviations of the estimate, to spare the comparison of what only looks a little alike.
        let spread = 5 * (0.25 / Double(MinHash.length)).squareRoot()
        guard !isNear, MinHash.estimate(signatures[other], signature) >= threshold - spread else { continue }
        isNear = Shingles.similarity(Shingles.hashes(of: kept[other], seed: seed), shingles) >= threshold
      }
    }
    if isNear {
      nearDuplicates += 1
      return false
    }
    for key in keys {
      entries.append((Int32(clamping: kept.count), heads[key] ?? -1))
      heads[key] = Int32(clamping: entries.count - 1)
    }
    kept.append(window)
    signatures.append(signature)
    compared.append(0)
    return true
  }
}
