import Tensors
import Testing

@testable import Calibration

@Suite struct TierTests {
  private let losses = (0..<400).map { Double(SeededRandom.value(seed: 4, index: UInt64($0)) >> 40) / 1e6 }

  @Test func tiersAreQuintilesAndEachGivesTheSame() {
    let choice = PerplexityTiers(losses: losses, wanted: 100, seed: 1)
    #expect(choice.tiers.map(\.candidates) == [80, 80, 80, 80, 80])
    #expect(choice.tiers.map(\.chosen) == [20, 20, 20, 20, 20])
    #expect(Set(choice.chosen).count == 100)
    for (tier, next) in zip(choice.tiers, choice.tiers.dropFirst()) { #expect(tier.bounds.upperBound <= next.bounds.lowerBound) }
    let sorted = losses.sorted()
    #expect(choice.tiers[0].bounds == sorted[0]...sorted[79])
    #expect(abs(choice.tiers[4].meanLoss - sorted[320...].reduce(0, +) / 80) < 1e-9)
    for tier in choice.tiers { #expect(choice.chosen.filter { tier.bounds.contains(losses[$0]) }.count == 20) }
  }

  /// Windows that are held out are as mixed as the others.
  @Test func everyFirstPartIsBalanced() {
    let choice = PerplexityTiers(losses: losses, wanted: 100, seed: 1)
    let sorted = losses.sorted()
    for length in [5, 25, 50] {
      for tier in 0..<5 {
        let bounds = sorted[tier * 80]...sorted[tier * 80 + 79]
        #expect(choice.chosen.prefix(length).filter { bounds.contains(losses[$0]) }.count == length / 5)
      }
    }
  }

  @Test func whatFiveDoesNotDivideGoesToTheMiddle() {
    #expect(PerplexityTiers(losses: losses, wanted: 101, seed: 1).tiers.map(\.chosen) == [20, 20, 21, 20, 20])
    #expect(PerplexityTiers(losses: losses, wanted: 103, seed: 1).tiers.map(\.chosen) == [20, 21, 21, 21, 20])
  }

  @Test func theSeedDecidesAndTiesDoNotMatter() {
    #expect(PerplexityTiers(losses: losses, wanted: 50, seed: 1).chosen == PerplexityTiers(losses: losses, wanted: 50, seed: 1).chosen)
    #expect(PerplexityTiers(losses: losses, wanted: 50, seed: 1).chosen != PerplexityTiers(losses: losses, wanted: 50, seed: 2).chosen)
    let flat = PerplexityTiers(losses: Array(repeating: 1, count: 50), wanted: 10, seed: 1)
    #expect(flat.tiers.map(\.chosen) == [2, 2, 2, 2, 2])
  }

  @Test func fewCandidates() {
    #expect(PerplexityTiers(losses: [3, 1, 2], wanted: 10, seed: 1).chosen.sorted() == [0, 1, 2])
    #expect(PerplexityTiers(losses: [3, 1, 2], wanted: 10, seed: 1).tiers.count == 3)
    #expect(PerplexityTiers(losses: losses, wanted: 2, seed: 1).chosen.count == 2)
    #expect(Set(PerplexityTiers(losses: losses, wanted: 400, seed: 1).chosen).count == 400)
  }
}
