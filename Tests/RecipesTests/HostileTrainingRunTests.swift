import DeepSeekOptimize
import Foundation
import Testing

/// Numbers at the edges through everything that trains: a training that cannot learn ends, with what is at fault named, and writes nothing.
@Suite struct HostileTrainingRunTests {
  private let directory: TemporaryDirectory
  private static let text = DemoModel.evaluationText.deletingLastPathComponent().appendingPathComponent("calibration.txt")

  init() throws { directory = try TemporaryDirectory() }

  private func finetune(_ model: ModelBundle, _ change: (inout FinetuneSettings) -> Void = { _ in }) throws -> CompressionReport {
    var settings = FinetuneSettings()
    (settings.sequenceLength, settings.batchSize, settings.steps, settings.warmup) = (32, 2, 3, 0)
    (settings.evaluationTokens, settings.adaptation.rank) = (128, 4)
    change(&settings)
    return try FinetuneRun(
      model: model, named: "hostile", data: Self.text, settings: settings, output: URL(fileURLWithPath: directory.path("out")), threads: 2
    ).execute()
  }

  private func quantize(_ model: ModelBundle) throws -> CompressionReport {
    var pass = QuantizationAwareTraining(bits: 3, groupSize: 64, steps: 2)
    (pass.batchWindows, pass.startWindows, pass.precision) = (2, 4, .float32)
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path("out")))
    settings.evaluation = nil
    return try CompressionRun(
      model: model, recipe: Recipe(passes: [pass], calibration: CalibrationPlan(text: Self.text.path, samples: 4, sequenceLength: 32)),
      settings: settings
    ).execute()
  }

  private func distil(_ student: ModelBundle, teacher: String) throws -> CompressionReport {
    var options = Distillation(teacher: teacher, data: Self.text.path)
    (options.featureSteps, options.logitSteps, options.policySteps, options.robustnessSteps) = (0, 2, 0, 0)
    (options.batchWindows, options.sequenceLength, options.topTokens) = (2, 32, 16)
    options.precision = .float32
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path("out")))
    settings.evaluation = nil
    return try DistillationRun(student: student, distillation: options, settings: settings).execute()
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity]) func whatIsNoNumberIsNamed(_ bad: Float) throws {
    let model = try HostileModel.write(to: directory.path("model"), bad, in: HostileModel.up)
    let refusals = [
      try directory.refusal { try finetune(model) },
      // Nothing is measured before the first step.
      try directory.refusal { try finetune(model) { $0.heldOut = 0 } },
      try directory.refusal { try finetune(model) { ($0.method, $0.heldOut) = (.full, 0) } },
      try directory.refusal { try quantize(model) },
      try directory.refusal { try distil(ModelBundle(opening: "demo"), teacher: model.directory.path) },
      try directory.refusal { try distil(model, teacher: "demo") },
    ]
    for (index, failure) in refusals.enumerated() {
      // Of two models that are compared it is said which of them holds it.
      let text = "\(failure)"
      #expect(text.contains(HostileModel.up) && text.contains("1 weights"), "\(index): \(failure)")
    }
  }

  /// Weights that are numbers, and products that are none: there is no gradient to follow.
  @Test func whatCannotBeLearnedFromEndsTraining() throws {
    let model = try HostileModel.write(to: directory.path("model")) { name, _, _, value in name == HostileModel.up ? 1e38 : value }
    let measured = try directory.refusal { try finetune(model) }
    #expect(measured.problem.contains("no finite loss on the data that is held out"), "\(measured)")
    let blind = try directory.refusal { try finetune(model) { $0.heldOut = 0 } }
    #expect(blind.problem.contains("none of its 3 steps had a finite gradient"), "\(blind)")
  }

  /// With nothing held out there is no better state to go back to.
  @Test func whatDivergedIsNotWritten() throws {
    let half = try HostileModel.write(to: directory.path("half"), as: .float16) { _, _, _, value in value }
    let failure = try directory.refusal { try finetune(half) { ($0.method, $0.learningRate, $0.heldOut, $0.steps) = (.full, 3e6, 0, 2) } }
    #expect(failure.problem.contains("beyond F16 after training"), "\(failure)")
    // Of all parameters that are trained, what no step met is written, too.
    let unmet = try HostileModel.write(to: directory.path("unmet"), .nan, in: HostileModel.embedding, row: 700)
    let named = try directory.refusal { try finetune(unmet) { ($0.method, $0.heldOut) = (.full, 0) } }
    #expect(named.subject == HostileModel.embedding && named.problem.contains("1 weights"), "\(named)")
  }

  /// Zeros, denormals and the largest of float16 leave every training with numbers.
  @Test(arguments: [HostileModel.Matter.zeroModel, .denormals, .halfEdge])
  func whatIsTrainedIsNumbers(_ matter: HostileModel.Matter) throws {
    let model = try HostileModel.write(to: directory.path("model"), matter.value)
    func check(_ name: String, _ body: () throws -> CompressionReport) throws {
      let report: CompressionReport
      do { report = try body() } catch let failure as any Failure where matter == .halfEdge {
        // Products of such weights may be too large to be squared.
        #expect(failure.kind == .badData && failure.subject.contains("model"), "\(name): \(failure)")
        return
      }
      #expect(try CompressionReport(json: report.json) == report, "\(name)")
      // An adapter is no model.
      if name != "lora" { #expect(try HostileModel.isFinite(ModelBundle(opening: directory.path("out"))), "\(name)") }
      if name == "lora" {
        let adapter = try AdapterCheckpoint(URL(fileURLWithPath: directory.path("out")))
        let values = adapter.modules.flatMap { ($0.a.float32Values() ?? []) + ($0.b.float32Values() ?? []) }
        let areNumbers = !values.isEmpty && values.allSatisfy(\.isFinite)
        #expect(areNumbers)
      }
      try FileManager.default.removeItem(atPath: directory.path("out"))
    }
    try check("lora") { try finetune(model) { $0.learningRate = 1e-3 } }
    try check("full") { try finetune(model) { $0.method = .full } }
    try check("qat") { try quantize(model) }
    try check("distillation") { try distil(model, teacher: "demo") }
  }
}
