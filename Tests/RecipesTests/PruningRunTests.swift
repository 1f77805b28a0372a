import DeepSeekOptimize
import Foundation
import Testing

/// Pruning from a checkpoint to a smaller one.
@Suite struct PruningRunTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func run(_ pruning: StructuredPruning, to name: String, threads: Int = 2, isRepaired: Bool = false) throws -> CompressionReport {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path(name)))
    settings.evaluation = EvaluationSettings(context: 64, tokens: 2048)
    settings.threads = threads
    return try PruningRun(
      model: ModelBundle(opening: "demo"), pruning: pruning,
      calibration: isRepaired ? CalibrationPlan(text: "demo", samples: 64, sequenceLength: 64) : nil, settings: settings
    ).execute()
  }

  @Test(arguments: [
    StructuredPruning(mlp: 0.3), StructuredPruning(heads: 0.5), StructuredPruning(hidden: 0.25, multiple: 32),
    StructuredPruning(mlp: 0.5, heads: 0.5, hidden: 0.5, importance: .l2, multiple: 16),
  ])
  func whatWasAnnouncedIsWhatIsThere(_ pruning: StructuredPruning) throws {
    let model = try ModelBundle(opening: "demo")
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path("out")))
    settings.evaluation = nil
    let plan = try PruningRun(model: model, pruning: pruning, settings: settings).plan()
    let report = try run(pruning, to: "out")
    let pruned = try ModelBundle(opening: directory.path("out"))
    #expect(pruned.graph.parameterCount == plan.keptParameters && plan.keptParameters < plan.parameters)
    #expect(report.accuracy?.klDivergence?.mean ?? 0 > 0 && (report.size?.ratio ?? 1) < 1)
    #expect(zip(model.graph.parameters, pruned.graph.parameters).allSatisfy { $0.name == $1.name && $0.nativeType == $1.nativeType })
    let sizes = ["hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads", "head_dim"].map {
      pruned.configuration[$0]?.integer
    }
    #expect(sizes.allSatisfy { $0 != nil })
    // Heads keep their width, and everything else of the configuration stays.
    #expect(pruned.configuration["head_dim"]?.integer == 32 && pruned.configuration["vocab_size"] == model.configuration["vocab_size"])
    #expect(try CompressionReport(json: report.json) == report)
  }

  @Test(arguments: [false, true]) func threadsDoNotChangeAByte(_ isRepaired: Bool) throws {
    for threads in [1, 3] {
      _ = try run(StructuredPruning(mlp: 0.4, heads: 0.5), to: "out\(threads)", threads: threads, isRepaired: isRepaired)
    }
    let files = [1, 3].map { URL(fileURLWithPath: directory.path("out\($0)/model.safetensors")) }
    #expect(try Data(contentsOf: files[0]) == Data(contentsOf: files[1]))
  }

  /// Repair takes at least half of what removal costs, and the report has the errors of every layer.
  @Test(arguments: [StructuredPruning(mlp: 0.3, multiple: 1), StructuredPruning(mlp: 0.3, importance: .wanda, multiple: 1)])
  func repairHelps(_ pruning: StructuredPruning) throws {
    var plain = pruning
    plain.importance = .l1
    let before = try #require(try run(plain, to: "plain").accuracy?.klDivergence?.mean)
    let report = try run(pruning, to: "repaired", isRepaired: true)
    let after = try #require(report.accuracy?.klDivergence?.mean)
    #expect(after < 0.5 * before, "\(before) to \(after)")
    let dimensions = try #require(report.pruning?.dimensions)
    #expect(dimensions.count == 4 && dimensions.allSatisfy { $0.errorAfter ?? 1 < $0.errorBefore ?? 0 })
    #expect(report.inputs?.calibrationSHA256 != nil && (try? CompressionReport(json: report.json)) == report)
  }

  /// Layers go, others are renumbered, and nothing of the old ones is left behind.
  @Test func layersGo() throws {
    let report = try run(StructuredPruning(mlp: 0.3, layers: 2), to: "out", isRepaired: true)
    let pruned = try ModelBundle(opening: directory.path("out"))
    #expect(pruned.configuration["num_hidden_layers"]?.integer == 2 && pruned.graph.layerBlocks.count == 2)
    #expect(pruned.weights.names.count == pruned.graph.parameters.count)
    let dimensions = try #require(report.pruning?.dimensions)
    #expect(dimensions.filter { $0.kind == "layer" }.count == 2 && dimensions.filter { $0.kind == "mlp" }.count == 2)
    #expect(report.pruning?.keptParameters == pruned.graph.parameterCount)
    #expect(throws: RecipeError.self) { try run(StructuredPruning(layers: 1), to: "other") }
  }

  @Test func activationsNeedText() throws {
    let error = #expect(throws: RecipeError.self) { try run(StructuredPruning(mlp: 0.3, importance: .wanda), to: "out") }
    #expect(error?.kind == .usage && directory.contents.isEmpty)
    #expect(throws: CompressionError.self) { try run(StructuredPruning(hidden: 0.5, importance: .wanda), to: "out", isRepaired: true) }
  }

  @Test func whatRemovesNothingIsRefused() throws {
    let error = #expect(throws: RecipeError.self) { try run(StructuredPruning(mlp: 0.01), to: "out") }
    #expect(error?.kind == .usage && directory.contents.isEmpty)
  }
}
