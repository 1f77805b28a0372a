import DeepSeekOptimize
import Foundation
import Testing

/// Several processes make what one makes, where something is trained or a model gets other modules.
@Suite struct GroupTrainingTests {
  private let bench: GroupBench
  private static let text = DemoModel.evaluationText.deletingLastPathComponent().appendingPathComponent("calibration.txt").path

  init() throws { bench = try GroupBench() }

  /// Two batches a step.
  @Test func quantizationAwareTraining() throws {
    try bench.expectSame([2, 3]) { group, output in
      var pass = QuantizationAwareTraining(bits: 2, groupSize: 64, steps: 6)
      (pass.batchWindows, pass.startWindows, pass.precision) = (8, 16, .float32)
      return try CompressionRun(
        model: ModelBundle(opening: "demo"),
        recipe: Recipe(passes: [pass], calibration: CalibrationPlan(text: Self.text, samples: 16, sequenceLength: 256)),
        settings: GroupBench.settings(output, group)
      ).execute()
    }
  }

  @Test(arguments: [FinetuneSettings.Method.lora, .full])
  func finetuning(_ method: FinetuneSettings.Method) throws {
    try bench.expectSame([2, 4]) { group, output in
      var settings = FinetuneSettings()
      (settings.sequenceLength, settings.batchSize, settings.accumulation, settings.steps) = (512, 4, 2, 4)
      (settings.evaluationInterval, settings.adaptation.rank, settings.method) = (2, 4, method)
      var run = FinetuneRun(
        model: try ModelBundle(opening: "demo"), named: "demo", data: URL(fileURLWithPath: Self.text), settings: settings, output: output,
        threads: 1, group: group)
      run.saveInterval = 1
      return try run.execute()
    }
  }

  @Test func distillation() throws {
    let student = bench.directory.url.appendingPathComponent("student")
    _ = try Self.prune(to: student, .alone)
    try bench.expectSame([3]) { group, output in
      var options = Distillation(teacher: "demo", data: Self.text)
      (options.featureSteps, options.logitSteps, options.policySteps, options.robustnessSteps) = (2, 4, 2, 2)
      (options.batchWindows, options.sequenceLength, options.topTokens) = (8, 192, 32)
      options.precision = .float32
      return try DistillationRun(
        student: ModelBundle(opening: student.path), distillation: options, settings: GroupBench.settings(output, group)
      ).execute()
    }
  }

  private static func prune(to output: URL, _ group: ProcessGroup) throws -> CompressionReport {
    try PruningRun(
      model: ModelBundle(opening: "demo"), pruning: StructuredPruning(mlp: 0.3, heads: 0.5),
      calibration: CalibrationPlan(text: "demo", samples: 20, sequenceLength: 256), settings: GroupBench.settings(output, group)
    ).execute()
  }

  @Test func pruning() throws { try bench.expectSame { try Self.prune(to: $1, $0) } }

  @Test func replacement() throws {
    try bench.expectSame([2]) { group, output in
      var replacement = ModuleReplacement()
      replacement.normalization = .dynamicTanh
      return try ReplacementRun(
        model: ModelBundle(opening: "demo"), replacement: replacement,
        calibration: CalibrationPlan(text: "demo", samples: 20, sequenceLength: 256), settings: GroupBench.settings(output, group)
      ).execute()
    }
  }

  /// Stages one behind the other, each from what the one before it left.
  @Test func stages() throws {
    try bench.expectSame([3]) { group, output in
      let recipe = Recipe(
        passes: [StructuredPruning(mlp: 0.25), GPTQ(bits: 4, groupSize: 32)],
        calibration: CalibrationPlan(text: "demo", samples: 20, sequenceLength: 128))
      return try RecipeRun(model: ModelBundle(opening: "demo"), recipe: recipe, settings: GroupBench.settings(output, group)).execute()
    }
  }
}
