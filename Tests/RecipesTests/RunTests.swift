import DeepSeekOptimize
import Foundation
import Testing

@testable import Recipes

@Suite struct RunTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func run(
    _ passes: [any CompressionPass], to name: String = "out", format: OutputFormat = .compressedTensors,
    evaluation: EvaluationSettings? = nil,
    threads: Int? = 2, gates: AccuracyGates = AccuracyGates(), model: String = "demo"
  ) throws -> CompressionReport {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path(name)))
    settings.evaluation = evaluation
    settings.threads = threads
    settings.gates = gates
    return try CompressionRun(
      model: ModelBundle(opening: model), recipe: Recipe(passes: passes, format: format), settings: settings
    ).execute()
  }

  @Test func int8OfTheDemoModelIsSmallAndTrue() throws {
    let report = try run([RoundToNearest(bits: 8)], evaluation: EvaluationSettings())
    #expect(directory.contents == ["out"])
    #expect(
      Set(try FileManager.default.contentsOfDirectory(atPath: directory.path("out"))) == [
        "README.md", "config.json", "generation_config.json", "model.safetensors", "recipe.yaml", "report.html", "report.json",
        "tokenizer.json", "tokenizer_config.json",
      ])
    let accuracy = try #require(report.accuracy)
    #expect(abs(try #require(accuracy.perplexityRatio) - 1) < 0.001)
    #expect(try #require(accuracy.klDivergence?.mean) < 0.001)
    #expect(accuracy.context == 512 && accuracy.tokens == 23 * 511)
    // The perplexity that transformers measures on the same windows (Tests/ExecutionTests/Fixtures/goldens.json).
    #expect(abs(try #require(accuracy.reference?.perplexity) / 80.244_111_112_874_35 - 1) < 0.0005)
    #expect(report.layers?.count == 28)
    #expect(report.layers?.allSatisfy { ($0.weightSQNRdB ?? 0) > 35 && ($0.outputSQNRdB ?? 0) > 35 } == true)
    let quantized = try #require(report.size?.byKind.filter { $0.kind == "mlp" || $0.kind == "attention" })
    for kind in quantized { #expect(Double(kind.outputBytes ?? 0) <= 0.52 * Double(kind.sourceBytes ?? 1)) }
    #expect(report.gates.isEmpty)
    // What is on disk is what was returned.
    #expect(try StoredReport.read(directory.path("out")) == report)
  }

  /// Every width, sign and granularity is written, read back equal (the run itself compares), and computes what it dequantizes to.
  @Test(arguments: [8, 6, 5, 4, 3, 2], QuantizationTargets.Method.allCases)
  func everyWidthReadsBackAndRuns(_ bits: Int, _ method: QuantizationTargets.Method) throws {
    for groupSize in [0, 32, 128] {
      let name = "out-\(groupSize)"
      _ = try run([RoundToNearest(bits: bits, method: method, groupSize: groupSize)], to: name)
      let quantized = try ModelBundle(opening: directory.path(name))
      _ = try run([], to: name + "-f32", format: .safetensors, model: directory.path(name))
      let dequantized = try ModelBundle(opening: directory.path(name + "-f32"))
      #expect(dequantized.configuration["quantization_config"] == nil)
      let text = try EvaluationText(name: "t", tokens: (0..<128).map { Int32($0 * 7 % 1024) }, context: 64)
      let accuracy = try Evaluator(interpreter: Interpreter(pool: ThreadPool(threads: 2)))
        .accuracy(of: quantized.graph, reference: dequantized.graph, on: text)
      #expect(try #require(accuracy.klDivergence).max < 1e-9)
    }
  }

  @Test func hdf5HoldsTheSameWeights() throws {
    _ = try run([RoundToNearest(bits: 4, groupSize: 32)], to: "a")
    _ = try run([RoundToNearest(bits: 4, groupSize: 32)], to: "b", format: .hdf5)
    let (first, second) = try (ModelBundle(opening: directory.path("a")), ModelBundle(opening: directory.path("b/model.h5")))
    #expect(first.weights.names == second.weights.names)
    for name in first.weights.names { #expect(try first.weights.load(name).digest() == second.weights.load(name).digest()) }
    // The configuration travels in the file: it opens alone.
    try FileManager.default.moveItem(atPath: directory.path("b/model.h5"), toPath: directory.path("alone.h5"))
    #expect(try ModelBundle(opening: directory.path("alone.h5")).graph.parameterCount == first.graph.parameterCount)
  }

  @Test func threadsAndRepetitionGiveTheSameBytes() throws {
    let reports = try [1, 2, 3, 2].enumerated().map { index, threads in
      try run([RoundToNearest(bits: 4, method: .asymmetric, groupSize: 64)], to: "out\(index)", threads: threads)
    }
    #expect(Set(reports.map { $0.outputs.first?.sha256 }).count == 1)
    for name in ["config.json", "recipe.yaml", "model.safetensors", "README.md"] {
      let files = try (0..<4).map { try Data(contentsOf: URL(fileURLWithPath: directory.path("out\($0)/\(name)"))) }
      #expect(Set(files).count == 1, "\(name)")
    }
  }

  /// What a run wrote is reproduced by the recipe that lies beside it.
  @Test func theRecipeReproducesTheOutput() throws {
    var pass = RoundToNearest(bits: 4, groupSize: 64)
    pass.targets.overrides = [.init(pattern: "re:.*down_proj", bits: 6, groupSize: 0)]
    pass.targets.ignore = ["re:model\\.layers\\.0\\..*"]
    let first = try run([pass], to: "a")
    let recipe = try Recipe(yaml: String(contentsOfFile: directory.path("a/recipe.yaml"), encoding: .utf8))
    let second = try run(recipe.blockPasses, to: "b", format: recipe.format)
    #expect(first.outputs == second.outputs)
    #expect(first.layers?.count == 21)
  }

  @Test func gatesAreMeasuredAndTheCheckpointStays() throws {
    let evaluation = EvaluationSettings(tokens: 2048)
    let report = try run(
      [RoundToNearest(bits: 2)], evaluation: evaluation, gates: AccuracyGates(maximumPerplexityIncrease: 0.01, maximumKLDivergence: 100))
    #expect(report.gates.map(\.passed) == [false, true])
    #expect(directory.contents == ["out"])
  }

  @Test func quantizedTwiceIsRefused() throws {
    _ = try run([RoundToNearest(bits: 8)], to: "a")
    #expect(throws: RecipeError.self) { try run([RoundToNearest(bits: 8)], to: "b", model: directory.path("a")) }
    #expect(throws: RecipeError.self) { try run([RoundToNearest(bits: 8), RoundToNearest(bits: 4)], to: "b") }
    #expect(directory.contents == ["a"])
  }

  @Test func theFrontDoorReadsAsPromised() async throws {
    let report = try await Quantizer.load("demo").quantize(method: .int8, groupSize: 128).evaluate(on: nil).save(to: directory.path("out"))
    #expect(report.layers?.allSatisfy { $0.groupSize == 128 || $0.groupSize == 0 } == true)
    #expect(directory.contents == ["out"])
  }

  /// An int8 cache of keys and values: the demo's mean divergence from the float cache was 5.0e-5, over these windows and over the whole text.
  @Test func anInt8CacheIsMeasuredBesideTheWeights() throws {
    var evaluation = EvaluationSettings(tokens: 4096)
    let plain = try run([RoundToNearest(bits: 8)], to: "a", evaluation: evaluation)
    evaluation.keyValueCache = .int8
    let report = try run([RoundToNearest(bits: 8)], to: "b", evaluation: evaluation)
    #expect(plain.keyValueCache == nil && report.outputs == plain.outputs)
    let cache = try #require(report.keyValueCache)
    #expect(cache.bytesPerToken == 576 && cache.referenceBytesPerToken == 2048)
    let divergence = try #require(cache.klDivergence?.mean)
    #expect(divergence > 1e-6 && divergence < 5e-4)
    #expect(abs(try #require(cache.perplexityRatio) - 1) < 0.005)
    #expect(try StoredReport.read(directory.path("b")) == report)
  }

  @Test func int8ActivationsCostLittle() throws {
    var pass = RoundToNearest(bits: 8)
    pass.targets.activations = .int8
    let report = try run([pass], evaluation: EvaluationSettings())
    let divergence = try #require(report.accuracy?.klDivergence?.mean)
    #expect(divergence > 1e-6 && divergence < 0.005)
    let written = try ModelBundle(opening: directory.path("out"))
    #expect(written.graph.inputQuantization.count == 28)
  }
}
