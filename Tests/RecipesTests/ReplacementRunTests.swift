import DeepSeekOptimize
import Foundation
import Testing

/// Replacement from a checkpoint to one whose config.json says what is there now.
@Suite struct ReplacementRunTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func settings(_ name: String, threads: Int = 2) -> RunSettings {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path(name)))
    settings.evaluation = EvaluationSettings(context: 64, tokens: 2048)
    settings.evaluation?.measuresSpeed = false
    settings.threads = threads
    return settings
  }

  private func replacement(_ change: (inout ModuleReplacement) -> Void) -> ModuleReplacement {
    var replacement = ModuleReplacement()
    change(&replacement)
    return replacement
  }

  private func run(
    _ replacement: ModuleReplacement, on model: String = "demo", to name: String, threads: Int = 2, text: Bool = false
  ) throws -> CompressionReport {
    try ReplacementRun(
      model: ModelBundle(opening: model), replacement: replacement,
      calibration: text ? CalibrationPlan(text: "demo", samples: 16, sequenceLength: 64) : nil, settings: settings(name, threads: threads)
    ).execute()
  }

  private func attention(_ model: ModelBundle) -> String { model.graph.modules.first { $0.kind == "attention" }?.text ?? "" }

  /// What config.json can say is said in words that other loaders know, what it cannot under our own key; either is read again.
  @Test func configurationsSayWhatIsThere() throws {
    let cases: [(change: (inout ModuleReplacement) -> Void, type: String, attention: String, isOwn: Bool)] = [
      ({ ($0.attention, $0.window) = (.slidingWindow, 16) }, "mistral", "sliding window 16 in all layers", false),
      (
        { ($0.attention, $0.window, $0.layers) = (.slidingWindow, 16, "0-1,3") }, "ministral",
        "sliding window 16 in layers 0-1, 3; global in 2", false
      ),
      (
        { ($0.attention, $0.tokens, $0.block, $0.layers) = (.topTokens, 16, 8, "1-3") }, "llama",
        "global in layers 0; top 16 tokens in blocks of 8 in 1-3", true
      ),
    ]
    for (index, item) in cases.enumerated() {
      let report = try run(replacement(item.change), to: "out\(index)")
      let written = try ModelBundle(opening: directory.path("out\(index)"))
      #expect(written.configuration["model_type"]?.string == item.type && attention(written) == item.attention)
      #expect((written.configuration["deepseek_optimize"] != nil) == item.isOwn)
      #expect(report.warnings.contains { $0.contains("no key that other programs read") } == item.isOwn)
      #expect(report.replacement?.modules.map(\.after) == [item.attention] && report.accuracy?.klDivergence?.mean ?? 0 > 0)
      #expect(try CompressionReport(json: report.json) == report)
      #expect(ReportTable(report).text().contains("sliding window") || item.isOwn)
      #expect(Inspection(written).text.contains(item.attention) && HTMLReport.render(report).contains("id=\"replacement\""))
    }
    // Windows of two sizes have no words; global attention takes all of it back.
    _ = try run(replacement { ($0.attention, $0.window, $0.layers) = (.slidingWindow, 8, "0") }, on: directory.path("out0"), to: "two")
    let two = try ModelBundle(opening: directory.path("two"))
    #expect(attention(two) == "sliding window 8 in layers 0; sliding window 16 in 1-3" && two.configuration["sliding_window"] == .null)
    _ = try run(replacement { $0.attention = .global }, on: directory.path("two"), to: "back")
    let back = try ModelBundle(opening: directory.path("back"))
    #expect(attention(back) == "global in all layers" && back.configuration["deepseek_optimize"] == nil)
    #expect(back.configuration["layer_types"] == nil)
  }

  @Test func activationsAndNormsAreReadAgain() throws {
    let report = try run(replacement { $0.activation = .relu2 }, to: "relu2")
    #expect(try ModelBundle(opening: directory.path("relu2")).configuration["hidden_act"]?.string == "relu2")
    #expect(report.warnings.contains { $0.contains("hidden_act") } && report.accuracy?.klDivergence?.mean ?? 0 > 0)
    for (kind, name) in [(ModuleReplacement.NormalizationKind.layerNorm, "layerNorm"), (.dynamicTanh, "dynamicTanh")] {
      let report = try run(replacement { $0.normalization = kind }, to: name, text: true)
      let written = try ModelBundle(opening: directory.path(name))
      #expect(written.graph.modules.contains { $0.kind == "normalization" && $0.text == "\(name) in all layers" })
      #expect(report.warnings.contains { $0.contains("will not load") } && report.accuracy?.klDivergence?.mean ?? 10 < 2)
    }
    #expect(throws: RecipeError.self) { try run(replacement { $0.normalization = .dynamicTanh }, to: "none") }
  }

  /// Layers for predicting several tokens would not fit, and go; routers, corrections and counts follow.
  @Test(arguments: [false, true]) func expertsMerge(_ isCalibrated: Bool) throws {
    let path = directory.path("model")
    try MixtureModel.write(to: URL(fileURLWithPath: path))
    for threads in [1, 3] {
      let report = try run(replacement { $0.mergeExperts = 4 }, on: path, to: "out\(threads)", threads: threads, text: isCalibrated)
      let written = try ModelBundle(opening: directory.path("out\(threads)"))
      #expect(written.configuration["n_routed_experts"]?.integer == 4 && written.configuration["num_nextn_predict_layers"]?.integer == 0)
      #expect(written.graph.routers.allSatisfy { $0.routing.experts == 4 && $0.routing.groups?.count == 2 })
      #expect(written.weights.names.count == written.graph.parameters.count)
      #expect(report.warnings.contains { $0.contains("are left out") } && report.size?.ratio ?? 1 < 1)
      #expect((report.calibration != nil) == isCalibrated)
    }
    let files = [1, 3].map { URL(fileURLWithPath: directory.path("out\($0)/model.safetensors")) }
    #expect(try Data(contentsOf: files[0]) == Data(contentsOf: files[1]))
  }

  /// A recipe replaces, heals and quantizes; healing helps, and what is there stays there.
  @Test(
    arguments: [
      { ($0.attention, $0.window) = (.slidingWindow, 8) }, { ($0.attention, $0.tokens, $0.block) = (.topTokens, 8, 4) },
      { $0.activation = .relu }, { $0.normalization = .dynamicTanh },
    ] as [@Sendable (inout ModuleReplacement) -> Void])
  func distillationHeals(_ change: @Sendable (inout ModuleReplacement) -> Void) throws {
    var distillation = Distillation()
    (distillation.featureSteps, distillation.logitSteps, distillation.policySteps, distillation.robustnessSteps) = (0, 24, 0, 0)
    (distillation.batchWindows, distillation.sequenceLength, distillation.learningRate) = (8, 64, 2e-4)
    let recipe = Recipe(
      passes: [replacement(change), distillation, RoundToNearest(bits: 8, groupSize: 0)],
      calibration: CalibrationPlan(text: "demo", samples: 32, sequenceLength: 64))
    let report = try RecipeRun(model: ModelBundle(opening: "demo"), recipe: recipe, settings: settings("out")).execute()
    let rows = try #require(report.passes)
    #expect(rows.map(\.name) == ["source", "replace", "distill", "round-to-nearest"])
    #expect((rows[2].klDivergence ?? 1) < (rows[1].klDivergence ?? 0) && report.replacement?.modules.count == 1)
    let written = try ModelBundle(opening: directory.path("out"))
    #expect(written.graph.modules.contains { $0.text == report.replacement?.modules[0].after })
    let again = try Recipe(yaml: String(contentsOfFile: directory.path("out/recipe.yaml"), encoding: .utf8))
    #expect(again.passes.first as? ModuleReplacement == replacement(change))
  }

  /// Layers that are removed later take what is said of them along.
  @Test func prunedLayersTakeTheirAttentionAlong() throws {
    _ = try run(replacement { ($0.attention, $0.tokens, $0.block, $0.layers) = (.topTokens, 16, 8, "0,3") }, to: "replaced")
    var plain = settings("pruned")
    plain.evaluation = nil
    _ = try PruningRun(
      model: ModelBundle(opening: directory.path("replaced")), pruning: StructuredPruning(layers: 1),
      calibration: CalibrationPlan(text: "demo", samples: 8, sequenceLength: 64), settings: plain
    ).execute()
    let (before, after) = (
      try ModelBundle(opening: directory.path("replaced")), try ModelBundle(opening: directory.path("pruned"))
    )
    let removed = try #require(
      (0..<4).first { layer in
        let name = "model.layers.\(layer).self_attn.q_proj.weight"
        guard let left = try? after.weights.load(name).digest() else { return true }
        return (try? before.weights.load(name).digest()) != left
      })
    let kept = [0, 1, 2, 3].filter { $0 != removed }
    let selected = kept.indices.filter { [0, 3].contains(kept[$0]) }
    let text = attention(after)
    #expect(
      text.contains("top 16 tokens in blocks of 8 in ") && selected.allSatisfy { text.contains("\($0)") }, "\(text), without \(removed)")
  }
}
