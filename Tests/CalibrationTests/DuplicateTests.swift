import Testing

@testable import Calibration

/// A filter that expectations may ask.
private final class Keeper {
  private(set) var filter: DuplicateFilter
  init(threshold: Double, seed: UInt64) { filter = DuplicateFilter(threshold: threshold, seed: seed) }

  @discardableResult
  func keeps(_ window: [Int32]) -> Bool { filter.insert(window) }
}

@Suite struct DuplicateTests {
  /// 104 different tokens, hence 100 shingles.
  private let window = (0..<104).map { Int32($0) }

  /// The window with its last tokens replaced by others: 100 - changed shingles stay, 100 + changed are in either.
  private func variant(_ changed: Int, from first: Int32 = 1000) -> [Int32] {
    Array(window.dropLast(changed)) + (0..<changed).map { first + Int32($0) }
  }

  @Test func equalWindowsAreExactDuplicates() {
    let filter = Keeper(threshold: 0.8, seed: 1)
    #expect(filter.keeps(window))
    #expect(!filter.keeps(window))
    #expect(filter.filter.exactDuplicates == 1)
    #expect(filter.filter.nearDuplicates == 0)
    #expect(filter.filter.kept == [window])
  }

  /// 89/111 = 0.8018 is near, 88/112 = 0.7857 is not: the threshold is exact, whatever the seed of the signatures.
  @Test(arguments: [UInt64(0), 1, 2, 3, 4, 5, 6, 7])
  func theThresholdIsExact(_ seed: UInt64) {
    let filter = Keeper(threshold: 0.8, seed: seed)
    filter.keeps(window)
    #expect(!filter.keeps(variant(11)))
    #expect(filter.filter.nearDuplicates == 1)
    #expect(filter.keeps(variant(12)))
    #expect(filter.filter.exactDuplicates == 0)
    #expect(filter.filter.kept.count == 2)
  }

  /// The same text a few tokens later is nearly the same text.
  @Test func aShiftIsSeen() {
    let filter = Keeper(threshold: 0.8, seed: 3)
    filter.keeps(window)
    #expect(!filter.keeps(Array(window.dropFirst(5)) + [900, 901, 902, 903, 904]))
    #expect(filter.keeps(Array(window.dropFirst(50)) + (0..<50).map { 900 + Int32($0) }))
    #expect(filter.filter.nearDuplicates == 1)
  }

  @Test func unrelatedWindowsAreKept() {
    let filter = Keeper(threshold: 0.8, seed: 3)
    for index in 0..<200 { #expect(filter.keeps((0..<64).map { Int32(index * 64 + $0) })) }
    #expect(filter.filter.kept.count == 200)
    #expect(filter.filter.nearDuplicates + filter.filter.exactDuplicates == 0)
  }

  /// A threshold of one drops equal sets of shingles only; a low one drops much.
  @Test func otherThresholds() {
    let strict = Keeper(threshold: 1, seed: 5)
    strict.keeps(window)
    #expect(strict.keeps(variant(1)))
    // A period of four has four shingles, whatever its length.
    let wave = (0..<40).map { Int32($0 % 4) }
    #expect(strict.keeps(wave))
    #expect(!strict.keeps(wave + [0, 1]))
    #expect(strict.filter.nearDuplicates == 1)
    for threshold in [0.1, 0.3, 0.5, 0.95] {
      for seed in UInt64(0)..<4 {
        let filter = Keeper(threshold: threshold, seed: seed)
        filter.keeps(window)
        // The most that may change, and one more.
        let changed = Int((100 * (1 - threshold) / (1 + threshold)).rounded(.down))
        #expect(!filter.keeps(variant(changed)), "\(threshold), \(seed)")
        #expect(filter.keeps(variant(changed + 1)), "\(threshold), \(seed)")
      }
    }
  }

  @Test func windowsShorterThanAShingleAreCompared() {
    let filter = Keeper(threshold: 0.8, seed: 1)
    #expect(filter.keeps([1, 2]))
    #expect(!filter.keeps([1, 2]))
    #expect(filter.keeps([2, 1]))
    #expect(filter.filter.exactDuplicates == 1)
  }

  /// Known sets against the definition.
  @Test func similarityOfSortedSets() {
    #expect(Shingles.similarity([1, 2, 3], [2, 3, 4]) == 0.5)
    #expect(Shingles.similarity([], [1]) == 0)
    #expect(Shingles.similarity([], []) == 1)
    #expect(Shingles.hashes(of: [1, 1, 1, 1, 1, 1, 1], seed: 0).count == 1)
    #expect(Shingles.hashes(of: window, seed: 0).count == 100)
  }

  @Test func signaturesEstimateTheSimilarity() {
    let minHash = MinHash(threshold: 0.8, seed: 11)
    #expect(minHash.rows == 4)
    let left = Shingles.hashes(of: window, seed: 0)
    for changed in [5, 20, 50] {
      let right = Shingles.hashes(of: variant(changed), seed: 0)
      let exact = Double(100 - changed) / Double(100 + changed)
      let estimate = MinHash.estimate(minHash.signature(of: left), minHash.signature(of: right))
      // Four standard deviations of 128 draws.
      #expect(abs(estimate - exact) < 4 * (exact * (1 - exact) / 128).squareRoot())
    }
  }
}
