import DeepSeekOptimize
import Foundation
import Testing

@testable import Commands

/// Time left is right within 30 % from the first tenth of a stage on, if its pieces are weighed by what they cost.
@Suite struct TimeEstimateTests {
  /// Pieces of a stage: what each was thought to cost, and what it took.
  struct Trace: Sendable, CustomTestStringConvertible {
    let name: String
    var pieces: [(cost: Double, seconds: Double)]
    var testDescription: String { name }
  }

  /// A number from 0 to 1, the same each time.
  static func noise(_ index: Int) -> Double { Double(SeededRandom.value(seed: 7, index: UInt64(index)) >> 11) / Double(1 << 53) }

  static let traces: [Trace] = [
    Trace(name: "even", pieces: Array(repeating: (1, 2), count: 40)),
    // Dense blocks, then mixtures of experts ten times as large, then a head.
    Trace(name: "uneven blocks", pieces: Array(repeating: (1, 0.5), count: 3) + Array(repeating: (10, 5), count: 24) + [(14, 7)]),
    // Pages that are read for the first time.
    Trace(name: "slow first block", pieces: [(1, 3)] + Array(repeating: (1, 1), count: 60)),
    Trace(name: "noisy", pieces: (0..<120).map { (1, 0.6 + 0.8 * noise($0)) }),
    // Steps with a check between every ten of them.
    Trace(name: "steps and checks", pieces: (0..<200).map { $0 % 11 == 0 ? (4, 2) : (1, 0.5) }),
    // Another program slows the machine down for a while.
    Trace(name: "disturbed", pieces: (0..<100).map { (1, (40..<55).contains($0) ? 1.5 : 1) }),
  ]

  /// The largest error of the time left between the first tenth and the last twentieth, as a share of the true one.
  private func worst(_ trace: Trace, from first: Double = 0.1) -> Double {
    let cost = trace.pieces.reduce(0) { $0 + $1.cost }, end = trace.pieces.reduce(0) { $0 + $1.seconds }
    var estimate = TimeEstimate()
    estimate.add(share: 0, at: 0)
    var (done, now, worst) = (0.0, 0.0, 0.0)
    for piece in trace.pieces {
      // Asked in the middle of a piece as well.
      for asked in [now, now + piece.seconds / 2] where asked / end >= first && asked / end < 0.95 {
        guard let left = estimate.secondsLeft(at: asked) else { return .infinity }
        worst = max(worst, abs(left - (end - asked)) / (end - asked))
      }
      (done, now) = (done + piece.cost, now + piece.seconds)
      estimate.add(share: done / cost, at: now)
    }
    return worst
  }

  @Test(arguments: traces)
  func timeLeftIsRightWithin30Percent(_ trace: Trace) {
    let error = worst(trace)
    #expect(error < 0.3, "\(error)")
  }

  /// Why parts are weighed: by their number the same stage is mispredicted by far.
  @Test func countingBlocksWouldNotDo() {
    let pieces = Array(repeating: (cost: 1.0, seconds: 0.5), count: 20) + Array(repeating: (cost: 10.0, seconds: 5.0), count: 20)
    #expect(worst(Trace(name: "weighed", pieces: pieces)) < 0.01)
    #expect(worst(Trace(name: "counted", pieces: pieces.map { (1, $0.seconds) })) > 0.5)
  }

  @Test func aResumedStageIsJudgedByWhatThisRunDid() throws {
    var estimate = TimeEstimate()
    for (place, second) in [10.0, 11, 12, 13].enumerated() { estimate.add(share: 0.5 + 0.1 * Double(place), at: second) }
    let left = try #require(estimate.secondsLeft(at: 13))
    #expect(abs(left - 2) < 0.01)
  }

  @Test func nothingIsSaidTooSoonAndNothingIsBelowZero() throws {
    var estimate = TimeEstimate()
    #expect(estimate.secondsLeft(at: 0) == nil)
    estimate.add(share: 0, at: 0)
    estimate.add(share: 0.01, at: 5)
    #expect(estimate.secondsLeft(at: 5) == nil)
    estimate.add(share: 0.5, at: 10)
    let soon = try #require(estimate.secondsLeft(at: 10)), late = try #require(estimate.secondsLeft(at: 1000))
    #expect(soon > late && late > 0)
    // Clocks and shares that run backwards change nothing.
    estimate.add(share: 0.4, at: 9)
    estimate.add(share: .nan, at: 11)
    #expect(estimate.secondsLeft(at: 10).map { $0 > 0 && $0.isFinite } == true)
    estimate.add(share: 1, at: 12)
    #expect(estimate.secondsLeft(at: 12) == 0)
  }

  /// However many pieces of news there are, few are kept, and what they say stays.
  @Test func manyPiecesAreThinned() throws {
    var estimate = TimeEstimate()
    for index in 0...50_000 { estimate.add(share: Double(index) / 100_000, at: Double(index) / 100) }
    let left = try #require(estimate.secondsLeft(at: 500))
    #expect(abs(left - 500) < 5)
  }
}
