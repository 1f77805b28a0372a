import DeepSeekOptimize
import Foundation
import Testing

/// int8 activations: static ranges, layers that keep float ones, and what the report says of both.
@Suite struct ActivationTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func run(_ passes: [any CompressionPass], to name: String, evaluation: EvaluationSettings? = nil) throws -> CompressionReport {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path(name)))
    settings.evaluation = evaluation
    settings.threads = 2
    let text = DemoModel.evaluationText.deletingLastPathComponent().appendingPathComponent("calibration.txt").path
    let calibration = CalibrationPlan(text: text, samples: 16, sequenceLength: 128)
    return try CompressionRun(
      model: ModelBundle(opening: "demo"), recipe: Recipe(passes: passes, calibration: calibration), settings: settings
    ).execute()
  }

  private func quantizing(_ activations: ActivationQuantization, bits: Int = 8) -> RoundToNearest {
    var pass = RoundToNearest(bits: bits, groupSize: bits == 8 ? 0 : 32)
    pass.targets.activations = activations
    return pass
  }

  private func scales(_ model: ModelBundle) throws -> [String: Float] {
    var scales: [String: Float] = [:]
    for block in model.graph.blocks {
      for (node, id) in model.graph.linears(of: block) {
        if case .quantized(let tensor) = try model.graph[id].load() { scales[node.scope] = tensor.inputScale }
      }
    }
    return scales
  }

  @Test(arguments: [8, 4]) func staticRangesAreFoundWrittenAndCompared(_ bits: Int) throws {
    let report = try run(
      [quantizing(.int8Static, bits: bits), StaticActivationRanges()], to: "out", evaluation: EvaluationSettings(tokens: 6000))
    let written = try ModelBundle(opening: directory.path("out"))
    let scales = try scales(written)
    #expect(scales.count == 28 && scales.values.allSatisfy { $0 > 0 })
    // Readers of one value share its scale.
    let attention = "model.layers.0.self_attn"
    #expect(scales["\(attention).q_proj"] == scales["\(attention).v_proj"])
    #expect(scales["\(attention).q_proj"] != scales["\(attention).o_proj"])
    #expect(written.graph.inputQuantization.values.allSatisfy { $0 == .int8Static })
    #expect(report.layers?.allSatisfy { $0.format?.hasSuffix("static") == true && ($0.inputClippedFraction ?? 1) < 0.01 } == true)

    let forms = try #require(report.activations)
    #expect(forms.map(\.kind) == ["int8-static", "int8", "none"])
    #expect(forms[0].klDivergence == report.accuracy?.klDivergence)
    let divergences = try forms.map { try #require($0.klDivergence?.mean) }
    #expect(divergences[2] < divergences[1] && divergences[1] < divergences[0], "\(divergences)")
    #expect(divergences[0] < (bits == 8 ? 0.02 : 0.2), "\(divergences)")
    #expect(try StoredReport.read(directory.path("out")) == report)
  }

  /// What the report says of a layer is what was written, also where features were rescaled and so have no errors of their own.
  @Test func formatsAreThoseOfTheCheckpoint() throws {
    let report = try run([SmoothQuant(alpha: 0.5), quantizing(.int8), ActivationOutliers()], to: "out")
    let written = try ModelBundle(opening: directory.path("out"))
    var names: [String: String] = [:]
    for (node, id) in written.graph.blocks.flatMap({ written.graph.linears(of: $0) }) {
      if case .quantized(let scheme)? = written.graph[id].weightStorage { names[node.scope] = scheme.name }
    }
    let layers = try #require(report.layers)
    #expect(layers.count == 28 && layers.allSatisfy { $0.format == names[$0.name] })
    #expect(layers.contains { $0.weightSQNRdB == nil } && report.warnings.contains { $0.contains("no SQNR") })
  }

  /// A text that nothing is calibrated on is not passed over in silence.
  @Test func textThatIsNotUsedIsWarnedOf() throws {
    let report = try run([RoundToNearest(bits: 8)], to: "out")
    #expect(report.warnings.contains { $0.contains("was not used") } && report.calibration == nil)
    let yaml = try String(contentsOf: URL(fileURLWithPath: directory.path("out/recipe.yaml")), encoding: .utf8)
    #expect(!yaml.contains("calibration"))
  }

  /// The other ways are measured on the written weights: a run that asks for them finds the same.
  @Test func theOtherWaysAreWhatRunsOfTheirOwnFind() throws {
    let settings = EvaluationSettings(tokens: 4096)
    let dynamic = try run([quantizing(.int8)], to: "a", evaluation: settings)
    let plain = try run([quantizing(.none)], to: "b", evaluation: settings)
    #expect(plain.activations == nil)
    #expect(dynamic.activations?.map(\.kind) == ["int8", "none"])
    #expect(dynamic.activations?.last?.klDivergence == plain.accuracy?.klDivergence)
    #expect(dynamic.activations?.last?.perplexityRatio == plain.accuracy?.perplexityRatio)
  }

  @Test func staticRangesNeedTheirPassAndText() throws {
    let alone = #expect(throws: CompressionError.self) { try run([quantizing(.int8Static)], to: "out") }
    #expect(alone?.remedy.contains("static-activations") == true)
    let nothing = #expect(throws: CompressionError.self) { try run([quantizing(.int8), StaticActivationRanges()], to: "out") }
    #expect(nothing?.kind == .badConfiguration)
    let recipe = Recipe(passes: [quantizing(.int8Static), StaticActivationRanges()])
    let settings = RunSettings(output: URL(fileURLWithPath: directory.path("out")))
    let textless = #expect(throws: RecipeError.self) {
      try CompressionRun(model: ModelBundle(opening: "demo"), recipe: recipe, settings: settings).execute()
    }
    #expect(textless?.kind == .usage && textless?.remedy.contains("--calibration") == true)
    #expect(directory.contents.isEmpty)
  }

  @Test(arguments: [ActivationQuantization.int8, .int8Static]) func outliersKeepFloatActivationsAndAreListed(_ kind: ActivationQuantization)
    throws
  {
    var outliers = ActivationOutliers()
    outliers.threshold = 1
    outliers.maximumShare = 0.2
    let passes: [any CompressionPass] = [quantizing(kind), outliers] + (kind == .int8Static ? [StaticActivationRanges()] : [])
    let report = try run(passes, to: "out")
    let written = try ModelBundle(opening: directory.path("out"))
    let kept = Set((report.layers ?? []).filter { $0.fallback?.contains("float activations") == true }.map(\.name))
    #expect((1...5).contains(kept.count), "\(kept)")
    for layer in report.layers ?? [] { #expect((layer.format == "W8A16") == kept.contains(layer.name)) }
    for name in kept { #expect(report.warnings.contains { $0.hasPrefix("\(name): float activations") }) }
    #expect(written.graph.inputQuantization.count == 28 - kept.count)
    // What reads one value is decided on together.
    for part in ["q_proj", "k_proj"] {
      for name in kept where name.hasSuffix(part) { #expect(kept.contains(name.replacingOccurrences(of: part, with: "v_proj"))) }
    }
    outliers.threshold = 1e9
    let none = try run([quantizing(.int8), outliers], to: "none")
    #expect(none.layers?.allSatisfy { $0.format == "W8A8" && $0.fallback == nil } == true)
  }
}
