import DeepSeekOptimize
import Foundation
import Testing

@testable import Recipes

/// Calibrated runs that are stopped and resumed: they come to the bytes of a run in one piece.
@Suite struct ResumeCalibrationTests {
  private let bench: ResumeBench

  init() throws { bench = try ResumeBench() }

  private func gptq(_ outputSensitivity: Bool = false) -> [any CompressionPass] {
    [GPTQ(bits: 2, groupSize: 64, outputSensitivity: outputSensitivity), bench.probe]
  }

  /// The probe comes first, so that it sees the measuring of inputs, too.
  private var staticRanges: [any CompressionPass] {
    var quantizing = RoundToNearest(bits: 8, groupSize: 0)
    quantizing.targets.activations = .int8Static
    var outliers = ActivationOutliers()
    (outliers.threshold, outliers.maximumShare) = (1, 0.2)
    return [bench.probe, quantizing, outliers, StaticActivationRanges()]
  }

  @Test(arguments: [false, true], [false, true])
  func errorFeedbackContinuesToTheSameBytes(_ outputSensitivity: Bool, savesOften: Bool) throws {
    let whole = try bench.run(gptq(outputSensitivity), to: "whole")
    #expect(bench.quantized.count == 6)
    #expect(bench.stages.contains("Measuring sensitivity") == outputSensitivity)
    try bench.stop(gptq(outputSensitivity), to: "out", savesOften: savesOften)
    #expect(try bench.savedBlocks("out") == 3)
    #expect(bench.partialFiles("out") == ["journal.json", "activations-3.bin", ".model.safetensors.partial"])
    let resumed = try bench.run(gptq(outputSensitivity), to: "out", resume: true)
    #expect(bench.quantized == [.layer(2), .layer(3), .head])
    try bench.expectEqual(whole, "whole", resumed, "out")
    #expect(bench.directory.contents == ["out", "whole"])
  }

  @Test func referenceActivationsAreKeptToo() throws {
    var pass = GPTQ(bits: 3, groupSize: 64)
    pass.retarget = true
    let whole = try bench.run([pass, bench.probe], to: "whole")
    try bench.stop([pass, bench.probe], to: "out")
    let resumed = try bench.run([pass, bench.probe], to: "out", resume: true)
    #expect(bench.quantized.count == 3)
    try bench.expectEqual(whole, "whole", resumed, "out")
  }

  @Test func staticRangesContinueToTheSameBytes() throws {
    let whole = try bench.run(staticRanges, to: "whole")
    #expect(whole.layers?.contains { $0.inputClippedFraction != nil } == true)
    #expect(whole.layers?.contains { $0.fallback?.contains("float activations") == true } == true)
    try bench.stop(staticRanges, to: "out")
    let resumed = try bench.run(staticRanges, to: "out", resume: true)
    #expect(bench.quantized == [.layer(2), .layer(3), .head])
    try bench.expectEqual(whole, "whole", resumed, "out")
  }

  /// Behind the head there is nothing to calibrate, and no activations of its width are kept.
  @Test(arguments: [false, true]) func aJournalBehindTheHeadIsTakenUp(_ outputSensitivity: Bool) throws {
    let (from, to) = (bench.directory.path(".whole.partial"), bench.directory.path(".out.partial"))
    let whole = try bench.run(
      gptq(outputSensitivity), to: "whole", savesOften: true,
      progress: { step in
        // What a kill at this moment would leave behind.
        guard step.stage == "Quantizing", step.completed == step.total else { return }
        try? FileManager.default.copyItem(atPath: from, toPath: to)
      })
    #expect(bench.partialFiles("out") == ["journal.json", ".model.safetensors.partial"])
    #expect(try bench.savedBlocks("out") == 6)
    let resumed = try bench.run(gptq(outputSensitivity), to: "out", resume: true)
    #expect(bench.quantized.isEmpty && !bench.stages.contains("Measuring sensitivity"))
    try bench.expectEqual(whole, "whole", resumed, "out")
  }

  /// Neither a stop nor a failure before a resumed run takes the journal up costs what the first run did.
  @Test func endsBeforeTheJournalIsTakenUpKeepWhatWasDone() throws {
    let whole = try bench.run(staticRanges, to: "whole")
    try bench.stop(staticRanges, to: "out")
    let files = bench.partialFiles("out")
    try bench.stop(staticRanges, to: "out", at: .layer(1), in: "Measuring activations", resume: true)
    #expect(bench.quantized.isEmpty && bench.partialFiles("out") == files)
    let missing = CalibrationPlan(text: bench.directory.path("missing.txt"), samples: 6, sequenceLength: 48)
    let refused = #expect(throws: (any Error).self) { try bench.run(staticRanges, to: "out", resume: true, plan: missing) }
    #expect((refused as? any Failure)?.kind == .missingInput)
    #expect(throws: CompressionError.self) {
      try bench.run(staticRanges, to: "out", resume: true) { _, _ in throw CompressionError("probe", "fails", kind: .badData) }
    }
    #expect(try bench.savedBlocks("out") == 3)
    // Taken up and stopped at once: nothing new was saved, nothing is lost.
    try bench.stop(staticRanges, to: "out", resume: true)
    #expect(bench.quantized == [.layer(2)] && bench.partialFiles("out") == files)
    let resumed = try bench.run(staticRanges, to: "out", resume: true)
    #expect(bench.quantized.count == 3)
    try bench.expectEqual(whole, "whole", resumed, "out")
  }

  @Test func aFailureAtWorkLeavesNothing() throws {
    try bench.stop(gptq(), to: "out")
    #expect(throws: CompressionError.self) {
      try bench.run(gptq(), to: "out", resume: true) { _, _ in throw CompressionError("probe", "fails", kind: .badData) }
    }
    #expect(bench.directory.contents.isEmpty)
  }

  @Test(arguments: ["missing", "short", "long", "link"]) func activationsThatAreNotWholeStartAnew(_ damage: String) throws {
    let whole = try bench.run(gptq(), to: "whole")
    try bench.stop(gptq(), to: "out")
    let file = URL(fileURLWithPath: bench.partial("out", "activations-3.bin"))
    let content = try Data(contentsOf: file)
    // 6 windows of 48 tokens.
    #expect(content.count % (6 * 48 * 4) == 0 && !content.isEmpty)
    try FileManager.default.removeItem(at: file)
    switch damage {
    case "short": try content.dropLast(4).write(to: file)
    case "long": try (content + Data(count: 4)).write(to: file)
    case "link":
      let target = URL(fileURLWithPath: bench.directory.path("target"))
      try content.write(to: target)
      try FileManager.default.createSymbolicLink(at: file, withDestinationURL: target)
    default: break
    }
    let resumed = try bench.run(gptq(), to: "out", resume: true)
    #expect(bench.quantized.count == 6)
    try bench.expectEqual(whole, "whole", resumed, "out")
  }

  /// The same text is other tokens then, even if the model's own files are untouched.
  @Test func anotherTokenizerStartsAnew() throws {
    let model = bench.directory.path("model")
    try FileManager.default.copyItem(atPath: DemoModel.directory.path, toPath: model)
    try bench.stop(gptq(), to: "out", model: model)
    let file = URL(fileURLWithPath: model + "/tokenizer.json")
    var tokenizer = try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
    var rules = try #require(tokenizer["model"] as? [String: Any])
    rules["merges"] = [String]()
    tokenizer["model"] = rules
    try JSONSerialization.data(withJSONObject: tokenizer).write(to: file)
    _ = try bench.run(gptq(), to: "out", resume: true, model: model)
    #expect(bench.quantized.count == 6)
  }
}
