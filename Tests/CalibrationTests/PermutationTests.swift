import Testing

@testable import Calibration

@Suite struct PermutationTests {
  @Test(arguments: [1, 2, 3, 4, 5, 16, 17, 100, 1023, 1024, 1025])
  func everyPlaceIsVisitedOnce(_ count: Int) {
    for seed in UInt64(0)..<3 {
      let permutation = SeededPermutation(count: count, seed: seed)
      #expect((0..<count).map { permutation[$0] }.sorted() == Array(0..<count))
    }
  }

  @Test func theSeedDecides() {
    let numbers = Array(0..<1000)
    #expect(numbers.shuffled(seed: 1) == numbers.shuffled(seed: 1))
    #expect(numbers.shuffled(seed: 1) != numbers.shuffled(seed: 2))
    #expect([Int]().shuffled(seed: 1) == [])
  }

  /// The first tenth of the order comes from everywhere, as far as chance allows.
  @Test func theOrderIsSpread() {
    let permutation = SeededPermutation(count: 10_000, seed: 9)
    var deciles = Array(repeating: 0, count: 10)
    for index in 0..<1000 { deciles[permutation[index] / 1000] += 1 }
    #expect(deciles.allSatisfy { (60...140).contains($0) }, "\(deciles)")
  }
}
