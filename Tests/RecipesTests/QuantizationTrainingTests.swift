import DeepSeekOptimize
import Foundation
import Testing

/// Quantization-aware training as a pass of a run.
@Suite struct QuantizationTrainingTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func pass(_ change: (inout QuantizationAwareTraining) -> Void = { _ in }) -> QuantizationAwareTraining {
    var pass = QuantizationAwareTraining(bits: 2, groupSize: 64, steps: 32)
    pass.batchWindows = 8
    pass.startWindows = 32
    pass.learningRate = 0.002
    pass.precision = .float32
    change(&pass)
    return pass
  }

  private func run(
    _ passes: [any CompressionPass], to name: String, threads: Int = 2, resume: Bool = false, progress: ProgressHandler? = nil
  ) throws -> CompressionReport {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path(name)))
    settings.evaluation = EvaluationSettings(context: 64, tokens: 4096)
    settings.threads = threads
    settings.resume = resume
    let text = DemoModel.evaluationText.deletingLastPathComponent().appendingPathComponent("calibration.txt").path
    return try CompressionRun(
      model: ModelBundle(opening: "demo"),
      recipe: Recipe(passes: passes, calibration: CalibrationPlan(text: text, samples: 32, sequenceLength: 64)), settings: settings,
      progress: progress
    ).execute()
  }

  private func bytes(_ name: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: directory.path(name + "/model.safetensors")))
  }

  @Test func trainingLowersTheDivergence() throws {
    let start = try run([pass().start], to: "start")
    let trained = try run([pass()], to: "trained")
    let (before, after) = (try #require(start.accuracy?.klDivergence?.mean), try #require(trained.accuracy?.klDivergence?.mean))
    #expect(after < 0.9 * before, "\(before) to \(after)")
    let training = try #require(trained.training)
    #expect(training.method == "qat" && training.losses.count == 32 && (training.bestStep ?? 0) > 0)
    #expect(start.size?.outputBytes.map { $0 / 4096 } == trained.size?.outputBytes.map { $0 / 4096 })
    let names = try FileManager.default.contentsOfDirectory(atPath: directory.path("trained"))
    #expect(!names.contains { $0.hasPrefix("training") })
    #expect(try OutputVerification(of: directory.path("trained")).isIntact)
    #expect(try CompressionReport(json: trained.json) == trained)
  }

  @Test(arguments: [QuantizationTargets.Method.symmetric, .asymmetric], [ActivationQuantization.none, .int8])
  func everySchemeTrains(_ method: QuantizationTargets.Method, _ activations: ActivationQuantization) throws {
    guard method == .symmetric || activations == .none else { return }
    let report = try run(
      [
        pass {
          $0.targets.method = method
          $0.targets.activations = activations
          if activations != .none { ($0.targets.bits, $0.targets.groupSize) = (8, 0) }
        }
      ], to: "out")
    let written = try ModelBundle(opening: directory.path("out"))
    let schemes = written.graph.parameters.compactMap { parameter -> QuantizationScheme? in
      if case .quantized(let scheme)? = parameter.weightStorage { scheme } else { nil }
    }
    #expect(schemes.count == 28 && schemes.allSatisfy { $0.symmetric == (method == .symmetric) && $0.activations == activations })
    #expect(report.training?.bestStep != nil)
  }

  /// Scales alone: the divergence falls below that of the start, on text that neither saw.
  @Test(arguments: [QuantizationAwareTraining.Form.scales, .blockwise]) func scalesAloneHelp(_ form: QuantizationAwareTraining.Form) throws
  {
    let report = try run(
      [
        pass {
          ($0.form, $0.learningRate) = (form, 0.01)
          if form == .blockwise { $0.steps = 16 }
        }
      ], to: "trained")
    let training = try #require(report.training)
    let (first, best) = (
      try #require(training.evaluations.first), try #require(training.evaluations.first { $0.step == training.bestStep })
    )
    #expect(best.step > 0 && best.loss < 0.97 * first.loss, "\(first.loss) to \(best.loss)")
    // Scales of 28 weights, and the gains of norms.
    let model = try ModelBundle(opening: "demo").graph
    let gains = model.parameters.reduce(0) { $0 + ($1.role == .normGain ? $1.shape.elementCount : 0) }
    let weights = model.blocks.dropLast().flatMap { model.linears(of: $0) }.reduce(0) { $0 + model[$1.weight].shape.elementCount }
    #expect(training.trainableParameters == weights / 64 + gains)
    #expect(try ModelBundle(opening: directory.path("trained")).graph.parameters.count { $0.isQuantized } == 28)
  }

  /// What does not help is not kept: the checkpoint is the start's.
  @Test func aResultThatIsWorseIsNotKept() throws {
    _ = try run([pass().start], to: "start")
    let report = try run([pass { $0.learningRate = 1 }], to: "trained")
    #expect(report.training?.bestStep == 0 && report.warnings.contains { $0.contains("did not help") })
    let (start, trained) = (try ModelBundle(opening: directory.path("start")), try ModelBundle(opening: directory.path("trained")))
    for (first, second) in zip(start.graph.parameters, trained.graph.parameters) where !first.isQuantized {
      #expect(first.name == second.name && !second.isQuantized)
    }
  }

  @Test func threadsDoNotChangeAByte() throws {
    _ = try run([pass()], to: "one", threads: 1)
    _ = try run([pass()], to: "three", threads: 3)
    #expect(try bytes("one") == bytes("three"))
  }
}
