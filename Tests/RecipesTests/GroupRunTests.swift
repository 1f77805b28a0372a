import DeepSeekOptimize
import Foundation
import Testing

/// Several processes make what one makes, by passes that work block by block.
@Suite struct GroupRunTests {
  private let bench: GroupBench

  init() throws { bench = try GroupBench() }

  @Test func roundingToNearest() throws { try bench.expectSame([RoundToNearest(bits: 4, groupSize: 64)], calibrated: false) }

  @Test func errorFeedback() throws { try bench.expectSame([GPTQ(bits: 3, groupSize: 64)]) }

  @Test func twoSidedFeedback() throws { try bench.expectSame([GPTQ(bits: 4, groupSize: 64, outputSensitivity: true)]) }

  @Test func smoothingThenFeedback() throws { try bench.expectSame([SmoothQuant(), GPTQ(bits: 8, groupSize: 0)]) }

  @Test func activationAware() throws { try bench.expectSame([ActivationAware(bits: 4, groupSize: 64)]) }

  /// Experts: each one's rows come from all batches.
  @Test func mixture() throws { try bench.expectSame([GPTQ(bits: 4, groupSize: 32)], model: bench.mixture()) }

  /// What experts' outputs feel, of rows from all batches.
  @Test func mixtureTwoSided() throws {
    try bench.expectSame([GPTQ(bits: 4, groupSize: 32, outputSensitivity: true)], model: bench.mixture())
  }

  /// What one process alone finds out, all fail with, as one process does: so that who goes on with another pass is not left alone.
  @Test(arguments: [false, true]) func whatOneFindsAllFailWith(_ isTensorParallel: Bool) throws {
    let model = try bench.mixture(factors: ["experts.1.up_proj.weight": 1e25, "experts.2.up_proj.weight": 1e25])
    func failures(_ count: Int) throws -> [String] {
      let place = bench.place(count)
      return try LocalTransport.run(count) { group in
        var settings = GroupBench.settings(place, group)
        settings.isTensorParallel = isTensorParallel
        let calibration = CalibrationPlan(text: "demo", samples: 20, sequenceLength: 256)
        do {
          _ = try CompressionRun(
            model: ModelBundle(opening: model), recipe: Recipe(passes: [GPTQ(bits: 4, groupSize: 32)], calibration: calibration),
            settings: settings
          ).execute()
          return "none"
        } catch let failure as CompressionError { return "\(failure.kind) \(failure.subject) \(failure.problem)" }
      }
    }
    let alone = try failures(1)
    #expect(alone[0].contains("experts.1.down_proj"), "\(alone)")
    for count in 2...4 { #expect(try Set(failures(count)) == Set(alone)) }
  }

  /// A process that fails ends the others, and nothing is left.
  @Test func whoFailsLeavesNothing() throws {
    let output = bench.place(3)
    #expect(throws: RecipeError.self) {
      try LocalTransport.run(3) { group in
        let calibration = CalibrationPlan(text: "demo", samples: 6, sequenceLength: 64)
        return try CompressionRun(
          model: ModelBundle(opening: "demo"), recipe: Recipe(passes: [FailingPass()], calibration: calibration),
          settings: GroupBench.settings(output, group)
        ).execute()
      }
    }
    #expect(bench.directory.contents.filter { !$0.hasPrefix(".") } == [])
  }
}

/// Fails at the second process, in the middle of the model.
private struct FailingPass: CompressionPass {
  static let identifier = "failing"
  static let contract = PassContract()

  func validate(for graph: ModelGraph) throws(CompressionError) {}
  func begin(on graph: ModelGraph, in context: PassContext) throws(CompressionError) -> any BlockPass { Worker() }

  struct Worker: BlockPass {
    var plan: [ParameterID: WeightStorage] { [:] }
    var record = PassRecord(pass: FailingPass.identifier)

    mutating func apply(to block: Block, of graph: inout ModelGraph, in context: PassContext) throws {
      guard context.interpreter.group.rank == 1, block.name.hasSuffix(".1") else { return }
      throw RecipeError("rank 1", "fails", kind: .badData)
    }
  }
}
