import DeepSeekOptimize
import Foundation
import Testing

/// Where processes that share a run could go different ways: a failure at one of them, clocks, what only one of them writes.
@Suite struct GroupAgreementTests {
  private let bench: GroupBench

  init() throws { bench = try GroupBench() }

  /// The process that works on the layer finds out; the others wait for what it would have sent.
  @Test func aFailureAtOneProcessIsKnownToAll() throws {
    let model = try HostileModel.write(to: bench.directory.path("model"), .nan, in: HostileModel.down)
    let output = bench.place(3)
    let kinds = try LocalTransport.run(3) { group in
      let recipe = Recipe(
        passes: [GPTQ(bits: 4, groupSize: 64)], calibration: CalibrationPlan(text: "demo", samples: 6, sequenceLength: 64))
      var settings = GroupBench.settings(output, group)
      settings.evaluation = nil
      do {
        _ = try CompressionRun(model: model, recipe: recipe, settings: settings).execute()
        return "none"
      } catch let failure as any Failure {
        return "\(failure.kind)"
      }
    }
    #expect(kinds == ["badData", "badData", "badData"])
    #expect(!FileManager.default.fileExists(atPath: output.path))
  }

  /// The record that unmerging reads is written by one process.
  @Test func merging() throws {
    var settings = FinetuneSettings()
    (settings.sequenceLength, settings.batchSize, settings.steps, settings.adaptation.rank) = (64, 2, 2, 4)
    let text = DemoModel.evaluationText.deletingLastPathComponent().appendingPathComponent("calibration.txt")
    let adapter = bench.directory.url.appendingPathComponent("adapter")
    _ = try FinetuneRun(
      model: ModelBundle(opening: "demo"), named: "demo", data: text, settings: settings, output: adapter, threads: 1
    ).execute()
    try bench.expectSame([3]) { group, output in
      try CompressionRun(
        model: ModelBundle(opening: "demo"), recipe: Recipe(passes: [AdapterMerging(adapter: adapter.path)]),
        settings: GroupBench.settings(output, group)
      ).execute()
    }
  }

  /// How many steps a variant makes follows from how long others took.
  @Test func ablationGoesByOneClock() throws {
    let output = bench.place(2)
    let reports = try LocalTransport.run(2) { group in
      var options = Distillation(teacher: "demo", data: "demo")
      (options.featureSteps, options.logitSteps, options.policySteps, options.robustnessSteps) = (0, 6, 0, 2)
      (options.batchWindows, options.sequenceLength, options.topTokens, options.ablationSeeds) = (4, 64, 32, 1)
      return try DistillationRun(
        student: ModelBundle(opening: "demo"), distillation: options, settings: GroupBench.settings(output, group)
      ).execute()
    }
    #expect(reports[0].distillation?.ablation?.isEmpty == false)
  }
}
