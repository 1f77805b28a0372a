import DeepSeekOptimize
import Foundation
import Testing

@testable import Recipes

/// Distillation from a pruned model to one that predicts what its teacher does.
@Suite struct DistillationRunTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private static let text = DemoModel.evaluationText.deletingLastPathComponent().appendingPathComponent("calibration.txt").path

  private func settings(_ name: String, threads: Int = 2, resume: Bool = false) -> RunSettings {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path(name)))
    settings.evaluation = EvaluationSettings(context: 64, tokens: 4096)
    settings.evaluation?.measuresSpeed = false
    settings.threads = threads
    settings.resume = resume
    return settings
  }

  private func options(_ change: (inout Distillation) -> Void = { _ in }) -> Distillation {
    var options = Distillation(teacher: "demo", data: Self.text)
    (options.featureSteps, options.logitSteps, options.policySteps, options.robustnessSteps) = (6, 24, 4, 6)
    (options.batchWindows, options.sequenceLength, options.topTokens) = (8, 64, 32)
    options.precision = .float32
    options.learningRate = 2e-4
    change(&options)
    return options
  }

  /// A student: a part of the demo model.
  private func student(_ pruning: StructuredPruning, _ name: String = "student") throws -> ModelBundle {
    var settings = settings(name)
    settings.evaluation = nil
    _ = try PruningRun(
      model: ModelBundle(opening: "demo"), pruning: pruning, calibration: CalibrationPlan(text: "demo", samples: 64, sequenceLength: 64),
      settings: settings
    ).execute()
    return try ModelBundle(opening: directory.path(name))
  }

  private func distil(
    _ student: ModelBundle, _ options: Distillation, to name: String, threads: Int = 2, resume: Bool = false,
    stopAt place: (phase: String, step: Int)? = nil
  ) throws -> CompressionReport {
    var run = DistillationRun(
      student: student, distillation: options, settings: settings(name, threads: threads, resume: resume))
    run.stopCheck = { phase, step in if let place, phase == place.phase, step == place.step { throw StoppedFailure() } }
    let report = try run.execute()
    #expect(try OutputVerification(of: directory.path(name)).isIntact)
    return report
  }

  private func bytes(_ name: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: directory.path(name + "/model.safetensors")))
  }

  /// What a student is depends on the way it was made: narrower channels, fewer layers, a narrower stream that takes projectors, quantized weights.
  enum Kind: CaseIterable { case channels, layers, hidden, quantized }

  @Test(arguments: Kind.allCases) func studentsComeNearer(_ kind: Kind) throws {
    let model: ModelBundle
    switch kind {
    case .channels: model = try student(StructuredPruning(mlp: 0.4, multiple: 1))
    case .layers: model = try student(StructuredPruning(layers: 2))
    case .hidden: model = try student(StructuredPruning(hidden: 0.25, multiple: 32))
    case .quantized:
      var settings = settings("student")
      settings.evaluation = nil
      _ = try CompressionRun(
        model: ModelBundle(opening: "demo"), recipe: Recipe { RoundToNearest(bits: 3, groupSize: 64) }, settings: settings
      ).execute()
      model = try ModelBundle(opening: directory.path("student"))
    }
    // What is trained of quantized weights moves in steps of their grids.
    let report = try distil(model, options { if kind == .quantized { $0.learningRate = 4e-3 } }, to: "out")
    let distillation = try #require(report.distillation)
    #expect(distillation.stages.map(\.name) == ["features", "logits", "policy", "robustness"])
    let logits = distillation.stages[1]
    let (before, after) = (try #require(logits.before.klDivergence), try #require(logits.after.klDivergence))
    #expect(logits.isKept && after < 0.95 * before, "\(before) to \(after)")
    #expect((logits.changeInterval?.upper ?? 0) < 0 && logits.losses.count == 24)
    #expect(distillation.stages.allSatisfy { $0.before.adversarial.count == 3 && $0.after.noisyKLDivergence != nil })
    // Perturbations hurt, the more the further they go.
    let adversarial = logits.before.adversarial.map(\.klDivergence)
    #expect(adversarial == adversarial.sorted() && adversarial[2] > before)
    let written = try ModelBundle(opening: directory.path("out"))
    #expect(written.graph.parameters.map(\.shape) == model.graph.parameters.map(\.shape))
    #expect(written.graph.parameters.map(\.isQuantized) == model.graph.parameters.map(\.isQuantized))
    #expect(written.configuration["hidden_size"] == model.configuration["hidden_size"])
    let names = try FileManager.default.contentsOfDirectory(atPath: directory.path("out"))
    #expect(names.contains("recipe.yaml") && !names.contains { $0.hasPrefix("distillation") || $0.hasPrefix(".") })
    #expect(try CompressionReport(json: report.json) == report)
  }

  /// What does not help is undone: the output is the student as it was.
  @Test func stagesThatHarmAreUndone() throws {
    let model = try student(StructuredPruning(mlp: 0.1, multiple: 1))
    let report = try distil(
      model,
      options {
        $0.learningRate = 0.5
        ($0.featureSteps, $0.logitSteps, $0.policySteps, $0.robustnessSteps) = (0, 4, 0, 4)
      }, to: "out")
    #expect(report.distillation?.stages.map(\.isKept) == [false, false])
    #expect(report.warnings.count { $0.contains("was rolled back") } == 2)
    let written = try ModelBundle(opening: directory.path("out"))
    for (before, after) in zip(model.graph.parameters, written.graph.parameters) {
      #expect(try before.load().digest() == after.load().digest(), "\(before.name)")
    }
  }

  /// Gains that a transform has changed are the student's, not the teacher's.
  @Test func transformedStudentsKeepTheirGains() throws {
    var settings = settings("student")
    settings.evaluation = nil
    _ = try CompressionRun(
      model: ModelBundle(opening: "demo"),
      recipe: Recipe(calibration: CalibrationPlan(text: "demo", samples: 32, sequenceLength: 64)) {
        ActivationAware(bits: 4, groupSize: 64)
      },
      settings: settings
    ).execute()
    let model = try ModelBundle(opening: directory.path("student"))
    let measured = try Measurement(
      model: model, reference: ModelBundle(opening: "demo"), settings: EvaluationSettings(context: 64, tokens: 4096)
    ).report()
    let report = try distil(
      model,
      options {
        $0.learningRate = 1
        ($0.featureSteps, $0.logitSteps, $0.policySteps, $0.robustnessSteps) = (0, 4, 0, 0)
      }, to: "out")
    #expect(report.distillation?.stages.map(\.isKept) == [false])
    #expect(report.accuracy?.compressed?.perplexity == measured.accuracy?.compressed?.perplexity)
  }

  @Test(arguments: [StructuredPruning(mlp: 0.4, multiple: 1), StructuredPruning(hidden: 0.25, multiple: 32)])
  func threadsDoNotChangeAByte(_ pruning: StructuredPruning) throws {
    let model = try student(pruning)
    for threads in [1, 3] { _ = try distil(model, options { $0.learningRate = 5e-4 }, to: "out\(threads)", threads: threads) }
    #expect(try bytes("out1") == bytes("out3"))
  }

  /// Stopped in any stage and taken up again, it ends the same.
  @Test(arguments: [("features", 3), ("logits", 0), ("logits", 11), ("policy", 2), ("policy", 3), ("robustness", 4)])
  func resumedRunsEndTheSame(_ phase: String, _ step: Int) throws {
    // The width of the stream is smaller too: projectors are trained beside the student.
    let model = try student(StructuredPruning(mlp: 0.4, hidden: 0.25, multiple: 32))
    let whole = try distil(model, options(), to: "whole")
    #expect(throws: StoppedFailure.self) { try distil(model, options(), to: "resumed", stopAt: (phase, step)) }
    // One that is killed while it writes the output leaves some of that as well.
    try Data("half".utf8).write(to: URL(fileURLWithPath: directory.path(".resumed.partial/model.safetensors")))
    let report = try distil(model, options(), to: "resumed", resume: true)
    #expect(try bytes("whole") == bytes("resumed"))
    #expect(report.distillation?.stages.count == 4)
    // What earlier stages asked the teacher for counts as well.
    #expect(report.distillation?.cacheBytes == whole.distillation?.cacheBytes && (whole.distillation?.cacheBytes ?? 0) > 0)
  }

  /// The text's own tokens take part when they are given a share, and the ablation lists every stage.
  @Test func ablationsListEveryStage() throws {
    let model = try student(StructuredPruning(mlp: 0.4, multiple: 1))
    let report = try distil(
      model,
      options {
        ($0.featureSteps, $0.logitSteps, $0.policySteps, $0.robustnessSteps) = (2, 4, 0, 2)
        ($0.ablationSeeds, $0.textWeight) = (2, 0.3)
      }, to: "out")
    let ablation = try #require(report.distillation?.ablation)
    #expect(ablation.map(\.name) == ["all stages", "without features", "without logits", "without robustness", "cross-entropy"])
    #expect(ablation.allSatisfy { $0.seeds == 2 && $0.figures.klDivergence != nil && $0.klDeviation != nil && ($0.steps ?? 0) > 0 })
  }

  /// Another tokenizer of the same size makes other tokens of a text.
  @Test func tokenizersMustAgree() throws {
    let model = try student(StructuredPruning(mlp: 0.1, multiple: 1))
    let file = URL(fileURLWithPath: directory.path("student/tokenizer.json"))
    let text = try String(contentsOf: file, encoding: .utf8)
    let merges = try #require(text.range(of: "\"merges\""))
    let cut = try #require(text.range(of: "[", range: merges.upperBound..<text.endIndex))
    // Without merges every letter is a token.
    try (text[..<cut.upperBound] + "]}}").write(to: file, atomically: true, encoding: .utf8)
    let error = #expect(throws: (any Error).self) { try distil(model, options(), to: "out") }
    #expect((error as? RecipeError)?.kind == .usage, "\(String(describing: error))")
  }

  @Test func theTeacherIsNotReplaced() throws {
    let model = try student(StructuredPruning(mlp: 0.1, multiple: 1))
    let teacher = directory.path("teacher")
    try FileManager.default.copyItem(at: DemoModel.directory, to: URL(fileURLWithPath: teacher))
    try "{}".write(toFile: teacher + "/report.json", atomically: true, encoding: .utf8)
    var settings = settings("teacher")
    settings.overwrite = true
    let run = DistillationRun(student: model, distillation: options { $0.teacher = teacher }, settings: settings)
    let error = #expect(throws: RecipeError.self) { try run.execute() }
    #expect(error?.kind == .cannotCreate && FileManager.default.fileExists(atPath: teacher + "/tokenizer.json"))
  }

  @Test func whatCannotBeLearnedFromIsRefused() throws {
    let model = try ModelBundle(opening: "demo")
    #expect(throws: RecipeError.self) { try distil(model, options { $0.teacher = directory.path("absent") }, to: "out") }
    #expect(throws: (any Error).self) { try distil(model, options { $0.data = directory.path("absent.txt") }, to: "out") }
    #expect(throws: RecipeError.self) { try distil(model, options { $0.teacher = "" }, to: "out") }
    #expect(throws: CompressionError.self) { try distil(model, options { $0.sequenceLength = 100_000 }, to: "out") }
    try "Too short.".write(toFile: directory.path("short.txt"), atomically: true, encoding: .utf8)
    #expect(throws: (any Error).self) { try distil(model, options { $0.data = directory.path("short.txt") }, to: "out") }
    #expect(directory.contents == ["short.txt"])
  }
}
