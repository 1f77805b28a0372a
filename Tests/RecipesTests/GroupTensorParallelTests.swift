import DeepSeekOptimize
import Foundation
import Testing

/// Several processes that run text through a block together, each computing a part of every layer's outputs, make what one makes.
@Suite struct GroupTensorParallelTests {
  private let bench: GroupBench

  init() throws { bench = try GroupBench() }

  private func expectSame(
    _ passes: [any CompressionPass], model: String = "demo", calibrated: Bool = true,
    _ change: @escaping @Sendable (inout RunSettings) -> Void = { _ in }
  ) throws {
    try bench.expectSame(passes, model: model, calibrated: calibrated) { settings in
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

  /// Experts: some get no rows, and their sums are one process's.
  @Test func mixture() throws {
    let model = bench.directory.path("mixture")
    try MixtureModel.write(to: URL(fileURLWithPath: model))
    try expectSame([GPTQ(bits: 4, groupSize: 32)], model: model)
  }
}
