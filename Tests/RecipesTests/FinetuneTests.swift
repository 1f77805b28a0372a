import DeepSeekOptimize
import Foundation
import Testing

/// Fine-tuning from data to output.
@Suite struct FinetuneTests {
  private let directory: TemporaryDirectory
  private let data: URL

  init() throws {
    directory = try TemporaryDirectory()
    data = URL(fileURLWithPath: directory.path("data.jsonl"))
    // One sentence with few variations: easy to learn.
    let lines = (0..<60).map { "{\"prompt\": \"The colour of box \($0 % 7) is\", \"completion\": \" blue like the \($0 % 5) seas\"}" }
    try (lines.joined(separator: "\n") + "\n").write(to: data, atomically: true, encoding: .utf8)
  }

  private var settings: FinetuneSettings {
    var settings = FinetuneSettings()
    settings.sequenceLength = 64
    settings.batchSize = 2
    settings.steps = 24
    settings.learningRate = 2e-3
    settings.evaluationInterval = 6
    settings.adaptation.rank = 4
    return settings
  }

  private func run(
    _ settings: FinetuneSettings, to name: String, threads: Int = 2, resume: Bool = false,
    progress: FinetuneRun.FinetuneProgress? = nil, change: (inout FinetuneRun) -> Void = { _ in }
  ) throws -> CompressionReport {
    var run = FinetuneRun(
      model: try ModelBundle(opening: "demo"), named: "demo", data: data, settings: settings,
      output: URL(fileURLWithPath: directory.path(name)), threads: threads, progress: progress)
    run.resume = resume
    run.saveInterval = 5
    change(&run)
    return try run.execute()
  }

  private func bytes(_ name: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: directory.path(name + "/adapter_model.safetensors")))
  }

  private func losses(_ report: CompressionReport) throws -> (before: Double, kept: Double) {
    let training = try #require(report.training)
    let kept = try #require(training.evaluations.first { $0.step == training.bestStep })
    return (try #require(training.evaluations.first).loss, kept.loss)
  }

  @Test(arguments: [
    "plain", "magnitude", "rank-stabilized, int8 states", "bfloat16, kept activations", "float16", "quantized base", "NF4 base",
    "curriculum",
  ])
  func adaptersLearn(_ kind: String) throws {
    var settings = settings
    switch kind {
    case "magnitude": settings.adaptation.magnitude = true
    case "rank-stabilized, int8 states":
      settings.adaptation.scaling = .rankStabilized
      settings.optimizer.states = .int8
    case "bfloat16, kept activations":
      settings.precision = .bfloat16
      settings.keepsActivations = true
    case "float16": settings.precision = .float16
    case "quantized base": settings.base = BaseQuantization(bits: 4, groupSize: 32)
    case "NF4 base": settings.base = .normalFloat()
    case "curriculum": settings.curriculum = true
    default: break
    }
    let report = try run(settings, to: "out")
    let (before, kept) = try losses(report)
    #expect(kept < 0.7 * before, "\(before) to \(kept)")
    let adapter = try AdapterCheckpoint(URL(fileURLWithPath: directory.path("out")))
    #expect(adapter.modules.count == 12 && adapter.modules.allSatisfy { ($0.magnitude != nil) == settings.adaptation.magnitude })
    #expect(adapter.configuration.rank == 4 && adapter.configuration.baseModel == "demo")
    let names = try FileManager.default.contentsOfDirectory(atPath: directory.path("out")).sorted()
    #expect(names == ["README.md", "adapter_config.json", "adapter_model.safetensors", "report.html", "report.json"])
    let card = try String(contentsOfFile: directory.path("out/README.md"), encoding: .utf8)
    #expect(
      card.contains("library_name: peft\n") && card.contains(", `MODEL` that of the source.\n")
        && card.contains("PeftModel.from_pretrained(model, \"DIR\")"))
    #expect(try CompressionReport(json: report.json) == report)
    let verification = try OutputVerification(of: directory.path("out"))
    #expect(verification.isIntact && verification.files.count == names.count, "\(verification.summary)")
  }

  @Test func threadsDoNotChangeAByte() throws {
    _ = try run(settings, to: "one", threads: 1)
    _ = try run(settings, to: "three", threads: 3)
    #expect(try bytes("one") == bytes("three"))
  }

  /// Every start, alone and beside a quantized model: training begins where it should, and what was written is what was trained.
  @Test(arguments: LowRankAdaptation.Start.allCases, [nil, BaseQuantization(bits: 3, groupSize: 32), .normalFloat()])
  func everyStartIsWhatIsRead(_ start: LowRankAdaptation.Start, _ base: BaseQuantization?) throws {
    guard start != .quantizationResidual || base != nil else { return }
    var settings = settings
    (settings.adaptation.start, settings.base, settings.steps, settings.heldOut) = (start, base, 6, 0.2)
    settings.evaluationInterval = 6
    let report = try run(settings, to: "out")
    let output = URL(fileURLWithPath: directory.path("out"))
    let hasOwnBase = start != .zero && base != nil
    #expect(FileManager.default.fileExists(atPath: output.appendingPathComponent("base").path) == hasOwnBase)
    let verification = try OutputVerification(of: output.path)
    #expect(verification.isIntact && verification.files.contains { $0.name == "base/model.safetensors" } == hasOwnBase)
    let adapter = try AdapterCheckpoint(output)
    #expect(adapter.configuration.rank == (start == .principal && base == nil ? 8 : 4))
    let model = try ModelBundle(opening: hasOwnBase ? output.appendingPathComponent("base").path : "demo")
    #expect(adapter.configuration.baseModel == (hasOwnBase ? output.appendingPathComponent("base").path : "demo"))
    // Beside a base that anyone can make, the losses are those of training.
    guard base == nil || hasOwnBase else { return }
    let pool = ThreadPool(threads: 2)
    let adapted = try model.adapted(by: output, pool: pool)
    let text = "The colour of box 3 is blue like the 2 seas"
    let (tokens, logits) = try adapted.logits(of: text, tokens: 64, pool: pool)
    let other = try ModelBundle(opening: "demo").logits(of: text, tokens: 64, pool: pool).logits
    func loss(_ logits: Matrix) -> Double {
      (0..<tokens.count - 1).reduce(0) { sum, row in
        let values = logits.values(ofRow: row).map(Double.init), peak = values.max() ?? 0
        return sum + log(values.reduce(0) { $0 + exp($1 - peak) }) + peak - values[Int(tokens[row + 1])]
      } / Double(tokens.count - 1)
    }
    let training = try losses(report)
    #expect(training.kept < training.before && loss(logits) < 0.97 * loss(other), "\(loss(logits)) \(loss(other))")
  }

  @Test func presetsAreSettings() throws {
    let presets = try FinetunePreset.all()
    #expect(presets.count >= 6 && Set(presets.map(\.name)).count == presets.count)
    for preset in presets {
      let measured = try #require(preset.measured, "\(preset.name)")
      #expect(
        measured.learningRate == preset.settings.learningRate && measured.perplexityAfter < measured.perplexityBefore, "\(preset.name)")
      #expect(preset.settings.steps == 0 && preset.settings.epochs == 1, "how long is for the data to say")
    }
    #expect(throws: RecipeError.self) { try FinetunePreset.named("none of them") }
  }

  private struct Killed: Error {}

  /// Which steps had a finite gradient.
  private final class Scales: @unchecked Sendable {
    private(set) var rises: [Bool] = []
    func add(_ isFinite: Bool) { rises.append(isFinite) }
  }

  /// Stopped (which saves) or killed (which goes back to the last save) at any step, and resumed: the same adapter and the same story.
  @Test(arguments: [1, 5, 6, 12, 17, 23], [true, false])
  func resumedRunsEndTheSame(at step: Int, isStop: Bool) throws {
    let whole = try run(settings, to: "whole")
    #expect(throws: (any Error).self) {
      try run(
        settings, to: "cut", resume: true,
        progress: { event in
          guard case .step(let made, _, _, _) = event, made.index + 1 == step else { return }
          if isStop { throw StoppedFailure() }
          throw Killed()
        })
    }
    let resumed = try run(settings, to: "cut", resume: true)
    #expect(try bytes("cut") == bytes("whole"))
    #expect(resumed.training?.losses == whole.training?.losses && resumed.training?.evaluations == whole.training?.evaluations)
    #expect(resumed.training?.bestStep == whole.training?.bestStep)
  }

  /// The loss scale is part of the state: a run in which it falls ends the same.
  @Test func lossScalesAreResumed() throws {
    var settings = settings
    (settings.precision, settings.steps, settings.evaluationInterval) = (.float16, 12, 12)
    // Weights this large push gradients over the range of float16 again and again.
    (settings.learningRate, settings.warmup, settings.clip) = (0.3, 0, 0)
    let scales = Scales()
    let whole = try run(
      settings, to: "whole",
      progress: { event in if case .step(let step, _, _, _) = event { scales.add(step.gradientNorm.isFinite) } })
    #expect(
      scales.rises.contains(false) && scales.rises.contains(true), "the loss scale should fall, and some steps be made: \(scales.rises)")
    #expect(throws: (any Error).self) {
      try run(
        settings, to: "cut", resume: true,
        progress: { event in if case .step(let step, _, _, _) = event, step.index == 6 { throw Killed() } })
    }
    let resumed = try run(settings, to: "cut", resume: true)
    #expect(try bytes("cut") == bytes("whole"))
    #expect(resumed.training?.losses == whole.training?.losses)
  }

  @Test func anotherRunsStateIsRefused() throws {
    #expect(throws: StoppedFailure.self) {
      try run(
        settings, to: "cut", resume: true,
        progress: { event in if case .step(let step, _, _, _) = event, step.index == 3 { throw StoppedFailure() } })
    }
    var other = settings
    other.learningRate = 1e-3
    let error = #expect(throws: TrainingError.self) { try run(other, to: "cut", resume: true) }
    #expect(error?.kind == .usage)
  }

  @Test func trainingEndsWhenItNoLongerHelps() throws {
    var settings = settings
    settings.learningRate = 3
    settings.patience = 2
    settings.steps = 60
    let report = try run(settings, to: "out")
    let training = try #require(report.training)
    #expect(training.stoppedEarly && (training.steps ?? 60) < 60)
    let (before, kept) = try losses(report)
    #expect(kept <= before)
  }

  /// All parameters: the checkpoint is one that opens, in the types of its source.
  @Test func allParametersLearn() throws {
    var settings = settings
    settings.method = .full
    let report = try run(settings, to: "out")
    let (before, kept) = try losses(report)
    #expect(kept < 0.7 * before)
    let source = try ModelBundle(opening: "demo"), trained = try ModelBundle(opening: directory.path("out"))
    #expect(source.graph.parameters.map(\.name) == trained.graph.parameters.map(\.name))
    #expect(source.graph.parameters.map(\.nativeType) == trained.graph.parameters.map(\.nativeType))
  }

  @Test func whatCannotBeIsRefused() throws {
    var settings = settings
    settings.adaptation.targets = ["no_such_proj"]
    #expect(throws: CompressionError.self) { try run(settings, to: "out") }
    settings = self.settings
    settings.adaptation.rank = 100_000
    #expect(throws: CompressionError.self) { try run(settings, to: "out") }
    settings = self.settings
    settings.sequenceLength = 1 << 20
    #expect(throws: RecipeError.self) { try run(settings, to: "out") }
    settings = self.settings
    settings.method = .full
    settings.base = BaseQuantization(bits: 4, groupSize: 32)
    #expect(throws: RecipeError.self) { try run(settings, to: "out") }
    settings = self.settings
    settings.adaptation.start = .quantizationResidual
    #expect(throws: CompressionError.self) { try run(settings, to: "out") }
    #expect(!FileManager.default.fileExists(atPath: directory.path("out")))
  }
}

/// Adapters beside a model, as commands run them.
@Suite struct AdaptedModelTests {
  /// What training evaluated is what the adapter gives when it is read again.
  @Test(arguments: [false, true]) func theAdapterThatIsReadIsTheOneThatWasTrained(_ magnitude: Bool) throws {
    let directory = try TemporaryDirectory()
    let data = URL(fileURLWithPath: directory.path("data.jsonl"))
    try (0..<20).map { "{\"text\": \"one and one is two, again and again \($0)\"}\n" }.joined().write(
      to: data, atomically: true, encoding: .utf8)
    var settings = FinetuneSettings()
    (settings.steps, settings.sequenceLength, settings.learningRate, settings.heldOut) = (6, 64, 5e-3, 0)
    settings.adaptation = LowRankAdaptation(
      rank: 4, alpha: 8, scaling: .rankStabilized, magnitude: magnitude, targets: ["q_proj", "down_proj"])
    let model = try ModelBundle(opening: "demo"), output = URL(fileURLWithPath: directory.path("out"))
    _ = try FinetuneRun(model: model, named: "demo", data: data, settings: settings, output: output, threads: 2).execute()
    let pool = ThreadPool(threads: 2), text = "one and one is three"
    let adapted = try model.adapted(by: output, pool: pool)
    #expect(adapted.graph.parameters.count > model.graph.parameters.count)
    let (tokens, before) = try model.logits(of: text, tokens: 16, pool: pool)
    let after = try adapted.logits(of: text, tokens: 16, pool: pool).logits
    let change = (0..<before.rows * before.columns).map { abs(after.pointer[$0] - before.pointer[$0]) }.max() ?? 0
    #expect(tokens.count == before.rows && change > 0.05)
    // Of another model's shapes: refused.
    let config = output.appendingPathComponent("adapter_config.json")
    let changed = try String(contentsOf: config, encoding: .utf8).replacingOccurrences(of: "\"down_proj\"", with: "\"no_proj\"")
    try changed.write(to: config, atomically: true, encoding: .utf8)
    #expect(throws: (any Error).self) { try model.adapted(by: output, pool: pool) }
  }
}
