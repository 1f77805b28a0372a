import DeepSeekOptimize
import Foundation
import Testing

/// Several processes that run text through a block together, each computing a part of every layer's outputs, make what one makes.
@Suite struct GroupTensorParallelTests {
  private let bench: GroupBench

  init() throws { bench = try GroupBench() }

  private func expectSame(
    _ passes: [any CompressionPass], model: String = "demo", calibrated: Bool = true, counts: [Int] = [2, 3, 4],
    _ change: @escaping @Sendable (inout RunSettings) -> Void = { _ in }
  ) throws {
    try bench.expectSame(passes, model: model, calibrated: calibrated, counts: counts) { settings in
      settings.isTensorParallel = true
      change(&settings)
    }
  }

  @Test func measuring() throws { try expectSame([RoundToNearest(bits: 4, groupSize: 64)], calibrated: false) }

  /// Products of integers, with minima that are added behind them.
  @Test func measuringInSixteenBits() throws {
    try expectSame([RoundToNearest(bits: 4, method: .asymmetric, groupSize: 64)], calibrated: false) {
      $0.evaluation?.arithmetic = .sixteenBit
    }
  }

  @Test func errorFeedback() throws { try expectSame([GPTQ(bits: 3, groupSize: 64)]) }

  /// Both models run, batch by batch.
  @Test func retargeting() throws {
    var pass = GPTQ(bits: 3, groupSize: 64)
    pass.retarget = true
    try expectSame([pass])
  }

  @Test func twoSidedFeedback() throws { try expectSame([GPTQ(bits: 4, groupSize: 64, outputSensitivity: true)]) }

  @Test func smoothingThenFeedback() throws { try expectSame([SmoothQuant(), GPTQ(bits: 8, groupSize: 0)]) }

  @Test func activationAware() throws { try expectSame([ActivationAware(bits: 4, groupSize: 64)]) }

  /// Experts are run whole, each by one process: some get no rows. Where there are more processes than experts, all have a part of each.
  @Test func mixture() throws { try expectSame([GPTQ(bits: 4, groupSize: 32)], model: bench.mixture(), counts: [2, 3, 8, 9]) }

  @Test func mixtureTwoSided() throws {
    try expectSame([GPTQ(bits: 4, groupSize: 32, outputSensitivity: true)], model: bench.mixture())
  }

  /// What experts read is looked at by every process.
  @Test func mixtureWithStaticInputs() throws {
    var pass = RoundToNearest(bits: 8, groupSize: 0)
    pass.targets.activations = .int8Static
    try expectSame([pass, StaticActivationRanges()], model: bench.mixture())
  }

  @Test func mixtureThatIsRetargeted() throws {
    var feedback = GPTQ(bits: 4, groupSize: 32)
    feedback.retarget = true
    try expectSame([SmoothQuant(), feedback], model: bench.mixture())
  }

  @Test func mixtureThatIsActivationAware() throws { try expectSame([ActivationAware(bits: 4, groupSize: 32)], model: bench.mixture()) }
}
