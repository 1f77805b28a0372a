/// Candidates graded by the model's own perplexity: five tiers of as many candidates, and the same number chosen from each.
struct PerplexityTiers {
  static let count = 5

  /// The chosen candidates, the tiers taken in turn.
  private(set) var chosen: [Int] = []
  private(set) var tiers: [CalibrationSelection.Tier] = []

  /// - Parameters:
  ///   - losses: the mean negative log-likelihood of every candidate; finite.
  ///   - wanted: how many to choose.
  init(losses: [Double], wanted: Int, seed: UInt64) {
    let ranked = losses.indices.sorted { (losses[$0], $0) < (losses[$1], $1) }
    let count = min(Self.count, losses.count)
    let members = (0..<count).map { Array(ranked[$0 * losses.count / count..<($0 + 1) * losses.count / count]) }
    let drawn = members.enumerated().map { $1.shuffled(seed: seed &+ UInt64($0)) }
    var taken = Array(repeating: 0, count: count)
    // What five does not divide goes to the middle tiers first.
    let turns = (0..<count).sorted { (abs(2 * $0 - count + 1), $0) < (abs(2 * $1 - count + 1), $1) }
    let total = min(wanted, losses.count)
    while chosen.count < total {
      for tier in turns where chosen.count < total && taken[tier] < drawn[tier].count {
        chosen.append(drawn[tier][taken[tier]])
        taken[tier] += 1
      }
    }
    tiers = zip(members, taken).map { members, taken in
      CalibrationSelection.Tier(
        bounds: losses[members[0]]...losses[members[members.count - 1]],
        meanLoss: members.reduce(0) { $0 + losses[$1] } / Double(members.count), candidates: members.count, chosen: taken)
    }
  }
}
