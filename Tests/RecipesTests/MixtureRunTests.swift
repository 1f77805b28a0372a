import DeepSeekOptimize
import Foundation
import Testing

/// A mixture of experts from a checkpoint to a checkpoint: what is counted, what is carried along, what every pass makes of it.
@Suite struct MixtureRunTests {
  private let directory: TemporaryDirectory
  private let model: ModelBundle

  init() throws {
    directory = try TemporaryDirectory()
    try MixtureModel.write(to: URL(fileURLWithPath: directory.path("model")))
    model = try ModelBundle(opening: directory.path("model"))
  }

  private func settings(_ name: String, threads: Int = 2) -> RunSettings {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path(name)))
    settings.evaluation = EvaluationSettings(context: 64, tokens: 1024)
    settings.threads = threads
    return settings
  }

  private let calibration = CalibrationPlan(text: "demo", samples: 8, sequenceLength: 64)

  private func run(_ pass: any CompressionPass, to name: String, threads: Int = 2) throws -> CompressionReport {
    try CompressionRun(
      model: model, recipe: Recipe(passes: [pass], calibration: calibration), settings: settings(name, threads: threads)
    ).execute()
  }

  /// The report counts the expert that nothing came to, in every layer, and none is left as it was.
  @Test func everyExpertIsAccountedFor() throws {
    let report = try run(GPTQ(bits: 4, groupSize: 32), to: "out")
    let experts = try #require(report.experts)
    let sparse = MixtureModel.layers - 1
    #expect(experts.layers == sparse && experts.experts == sparse * MixtureModel.experts)
    #expect(experts.quantized == experts.experts && experts.unreached == sparse && experts.leastTokens == 0)
    #expect((experts.calibrated ?? 0) + (experts.scarce ?? 0) + (experts.unreached ?? 0) == experts.experts)
    let unreached = try #require(report.layers).filter { $0.calibrationTokens == 0 }
    #expect(unreached.count == 3 * sparse)
    #expect(unreached.allSatisfy { $0.name.contains("experts.\(MixtureModel.unchosen).") && $0.fallback?.isEmpty == false })
    #expect(report.warnings.contains { $0.contains("\(sparse) experts") })
    #expect(try CompressionReport(json: report.json) == report)
    let text = ReportTable(report).text()
    #expect(text.contains("reached by none"))
    #expect(HTMLReport.render(report).contains("id=\"experts\""))
  }

  /// Layers that the graph does not run are passed on bit by bit, and routers keep their precision.
  @Test func whatIsNotRunIsPassedOn() throws {
    _ = try run(RoundToNearest(bits: 8), to: "out")
    let written = try ModelBundle(opening: directory.path("out"))
    for name in ["model.layers.3.eh_proj.weight", "model.layers.1.mlp.gate.weight", "model.layers.2.mlp.gate.e_score_correction_bias"] {
      let (before, after) = (try model.checkpoint.tensor(name), try written.checkpoint.tensor(name))
      #expect(before.float32Values() == after.float32Values() && before.dataType == after.dataType, "\(name)")
    }
    #expect(written.checkpoint.descriptor("model.layers.1.mlp.experts.3.up_proj.weight_packed") != nil)
  }

  @Test func threadsGiveTheSameBytes() throws {
    let pass = GPTQ(bits: 3, groupSize: 32, outputSensitivity: true)
    let reports = try [1, 3].map { try run(pass, to: "out\($0)", threads: $0) }
    #expect(reports[0].outputs.first?.sha256 == reports[1].outputs.first?.sha256)
    #expect(reports[0].outputs.first != nil)
  }

  /// Every kind of removal leaves a checkpoint that opens with the sizes that its configuration says.
  @Test(arguments: ["mlp", "heads", "hidden", "ranks", "experts", "layers"])
  func pruned(_ kind: String) throws {
    var pruning = StructuredPruning(multiple: 4)
    switch kind {
    case "mlp": pruning.mlp = 0.25
    case "heads": pruning.heads = 0.5
    case "hidden": pruning.hidden = 0.25
    case "ranks": pruning.ranks = 0.25
    case "experts": pruning.experts = 0.25
    default: pruning.layers = 1
    }
    let report = try PruningRun(model: model, pruning: pruning, calibration: calibration, settings: settings("out")).execute()
    let pruned = try ModelBundle(opening: directory.path("out"))
    #expect(pruned.graph.parameterCount < model.graph.parameterCount)
    #expect(report.pruning?.keptParameters == pruned.graph.parameterCount)
    // Layers for predicting several tokens do not fit any more.
    #expect(!pruned.checkpoint.descriptors.contains { $0.name.hasPrefix("model.layers.3.") })
    #expect(pruned.configuration["num_nextn_predict_layers"]?.integer == 0)
    #expect(report.warnings.contains { $0.contains("model.layers.3.") })
    func size(_ key: String) -> Int? { pruned.configuration[key]?.integer }
    switch kind {
    case "mlp": #expect(size("intermediate_size") == 72 && size("moe_intermediate_size") == 24)
    case "heads": #expect(size("num_attention_heads") == 2 && size("num_key_value_heads") == 2)
    case "hidden": #expect(size("hidden_size") == 48)
    case "ranks": #expect(size("q_lora_rank") == 24 && size("kv_lora_rank") == 24)
    case "experts":
      #expect(size("n_routed_experts") == 6)
      // The one that nothing came to is the first to go.
      let kept = try #require(pruned.graph.parameters.first { $0.role == .routerCorrection }).load().float32()?.float32Values() ?? []
      #expect(kept.count == 6 && kept.allSatisfy { $0 > -1 })
    default:
      let dense = try #require(size("first_k_dense_replace"))
      #expect(size("num_hidden_layers") == 2 && (dense == 0 || dense == 1))
    }
    #expect(report.accuracy?.klDivergence?.mean ?? 0 > 0)
  }
}
