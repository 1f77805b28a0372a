import DeepSeekOptimize
import Foundation
import Testing

/// Adapters merged into a model and taken out again.
@Suite struct MergeTests {
  private let directory: TemporaryDirectory
  private let pool = ThreadPool(threads: 2)

  init() throws { directory = try TemporaryDirectory() }

  private func url(_ name: String) -> URL { URL(fileURLWithPath: directory.path(name)) }

  /// An adapter with factors of a size that shows.
  private func makeAdapter(_ name: String, of model: ModelBundle, magnitude: Bool = false, targets: [ModulePattern] = []) throws {
    var graph = model.graph
    let adaptation = LowRankAdaptation(rank: 3, alpha: 5, magnitude: magnitude, targets: targets)
    var modules: [AdapterModule] = []
    for adapter in try adaptation.attach(to: &graph, seed: 7, pool: pool) {
      let (down, up) = (try Matrix(graph[adapter.down]), try Matrix(graph[adapter.up]))
      var random = SeededRandom(seed: UInt64(adapter.up.index))
      for index in 0..<up.rows * up.columns { up.pointer[index] = Float(0.04 * (2 * random.nextUnit() - 1)) }
      let lengths = try adapter.magnitude.map { try Matrix(graph[$0]) }
      if let lengths { for index in 0..<lengths.columns { lengths.pointer[index] *= 1 + 0.2 * Float(index % 3) } }
      modules.append(
        try #require(
          AdapterModule(
            name: adapter.module, a: down.tensor(graph[adapter.down].shape), b: up.tensor(graph[adapter.up].shape),
            magnitude: lengths.map { Tensor($0.values(ofRow: 0), shape: [$0.columns]) }, scaling: Double(adaptation.factor))))
    }
    try FileManager.default.createDirectory(at: url(name), withIntermediateDirectories: false)
    try AdapterCheckpoint(
      configuration: AdapterConfiguration(rank: 3, alpha: 5, isRankStabilized: false, isWeightDecomposed: magnitude, baseModel: "demo"),
      modules: modules
    ).write(to: url(name), format: .peft)
  }

  private func run(
    _ model: ModelBundle, _ passes: [any CompressionPass], to name: String, format: OutputFormat = .compressedTensors, threads: Int = 2
  ) throws -> CompressionReport {
    var settings = RunSettings(output: url(name))
    settings.evaluation = EvaluationSettings(context: 64, tokens: 2048)
    settings.evaluation?.measuresSpeed = false
    settings.threads = threads
    return try CompressionRun(model: model, recipe: Recipe(passes: passes, format: format), settings: settings).execute()
  }

  private func bytes(_ name: String) throws -> Data { try Data(contentsOf: url(name).appendingPathComponent("model.safetensors")) }

  private func distance(_ a: Matrix, _ b: Matrix) -> Float {
    (0..<a.rows * a.columns).map { abs(a.pointer[$0] - b.pointer[$0]) }.max() ?? 0
  }

  @Test(arguments: [false, true], [[], ["all"] as [ModulePattern]])
  func mergedModelsAreTheAdaptedOnesAndComeBack(_ magnitude: Bool, _ targets: [ModulePattern]) throws {
    let model = try ModelBundle(opening: "demo")
    try makeAdapter("adapter", of: model, magnitude: magnitude, targets: targets)
    let report = try run(model, [AdapterMerging(adapter: directory.path("adapter"))], to: "merged")
    let merged = try ModelBundle(opening: directory.path("merged"))
    let verification = try OutputVerification(of: directory.path("merged"))
    #expect(verification.isIntact && verification.files.contains { $0.name == "unmerge/record.json" }, "\(verification.summary)")
    let text = "the quick brown fox jumps over the lazy dog", count = 16
    let adapted = try model.adapted(by: url("adapter"), pool: pool).logits(of: text, tokens: count, pool: pool).logits
    let plain = try model.logits(of: text, tokens: count, pool: pool).logits
    let found = try merged.logits(of: text, tokens: count, pool: pool).logits
    #expect(distance(adapted, plain) > 20 * distance(adapted, found), "\(distance(adapted, plain)) \(distance(adapted, found))")
    #expect(try #require(report.accuracy?.klDivergence?.mean) < 2e-4)
    // In the types of the source, and bit by bit back.
    #expect(zip(model.graph.parameters, merged.graph.parameters).allSatisfy { $0.nativeType == $1.nativeType })
    let restored = try run(merged.unmerged(threads: 1), [], to: "restored")
    #expect(restored.accuracy?.klDivergence?.max == 0)
    let again = try ModelBundle(opening: directory.path("restored"))
    for id in model.graph.parameterIDs {
      #expect(try model.graph[id].load().digest() == again.graph[id].load().digest(), "\(model.graph[id].name)")
    }
    #expect(!FileManager.default.fileExists(atPath: directory.path("restored/unmerge")))
  }

  @Test func threadsDoNotChangeAByte() throws {
    let model = try ModelBundle(opening: "demo")
    try makeAdapter("adapter", of: model, magnitude: true)
    for threads in [1, 3] {
      _ = try run(model, [AdapterMerging(adapter: directory.path("adapter"))], to: "merged\(threads)", threads: threads)
    }
    #expect(try bytes("merged1") == bytes("merged3"))
  }

  /// Symmetric and asymmetric, by groups and by channels: the scheme stays, the codes are new, and the old ones come back.
  @Test(arguments: [(4, QuantizationTargets.Method.symmetric, 32), (3, .asymmetric, 64), (8, .symmetric, 0)])
  func quantizedModelsStayQuantized(_ bits: Int, _ method: QuantizationTargets.Method, _ groupSize: Int) throws {
    _ = try run(ModelBundle(opening: "demo"), [RoundToNearest(bits: bits, method: method, groupSize: groupSize)], to: "base")
    let base = try ModelBundle(opening: directory.path("base"))
    try makeAdapter("adapter", of: base)
    let report = try run(base, [AdapterMerging(adapter: directory.path("adapter"))], to: "merged")
    let merged = try ModelBundle(opening: directory.path("merged"))
    #expect(zip(base.graph.parameters, merged.graph.parameters).allSatisfy { $0.weightStorage == $1.weightStorage })
    #expect(report.layers?.count == 12 && (report.accuracy?.klDivergence?.mean ?? 0) > 0)
    #expect(report.size?.outputBytes == base.sourceBytes)
    _ = try run(merged.unmerged(), [], to: "restored")
    #expect(try bytes("restored") == bytes("base"))
  }

  /// So do those whose scales no grid holds: nested ones, minima, floats.
  @Test(arguments: [(WeightType.q4_K, OutputFormat.gguf), (.q4_1, .gguf), (.affine, .mlx), (.fp8, .compressedTensors)])
  func blocksStayBlocks(_ type: WeightType, _ format: OutputFormat) throws {
    var pass = RoundToNearest(bits: type == .fp8 ? 8 : 4, groupSize: type == .affine ? 64 : 0)
    pass.targets.type = type
    _ = try run(ModelBundle(opening: "demo"), [pass], to: "base", format: format)
    let base = try ModelBundle(opening: directory.path("base"))
    try makeAdapter("adapter", of: base)
    let report = try run(base, [AdapterMerging(adapter: directory.path("adapter"))], to: "merged", format: format)
    let merged = try ModelBundle(opening: directory.path("merged"))
    #expect(zip(base.graph.parameters, merged.graph.parameters).allSatisfy { $0.weightStorage == $1.weightStorage })
    #expect(report.layers?.count == 12 && (report.accuracy?.klDivergence?.mean ?? 0) > 0)
  }

  /// What follows sees the merged model: merging and quantizing in one run is what they are one after the other.
  @Test func mergingComesFirst() throws {
    let model = try ModelBundle(opening: "demo")
    try makeAdapter("adapter", of: model)
    let (merge, quantize) = (AdapterMerging(adapter: directory.path("adapter")), RoundToNearest(bits: 4, groupSize: 32))
    let report = try run(model, [merge, quantize], to: "both")
    _ = try run(model, [merge], to: "merged")
    _ = try run(ModelBundle(opening: directory.path("merged")), [quantize], to: "quantized")
    #expect(try bytes("both") == bytes("quantized"))
    // Held against the adapted model, not against the one without.
    let direct = try run(model, [quantize], to: "direct")
    let (after, without) = (try #require(report.accuracy?.klDivergence?.mean), try #require(direct.accuracy?.klDivergence?.mean))
    #expect(after < 2 * without, "\(after) \(without)")
    #expect(!FileManager.default.fileExists(atPath: directory.path("both/unmerge")))
    let error = #expect(throws: RecipeError.self) { try run(model, [quantize, merge], to: "wrong") }
    #expect(error?.remedy == "the order that works is merge, round-to-nearest")
  }

  @Test func whatWasChangedSinceIsNotGivenBack() throws {
    let model = try ModelBundle(opening: "demo")
    try makeAdapter("adapter", of: model)
    _ = try run(model, [AdapterMerging(adapter: directory.path("adapter"))], to: "merged")
    let file = url("merged/model.safetensors")
    var content = try Data(contentsOf: file)
    let offset = try #require(try offset(of: "model.layers.1.self_attn.k_proj.weight", in: content))
    // Some places are kept as they were: a change there would do no harm.
    for place in 0..<40 { content[offset + 41 + 2 * place] ^= 0x10 }
    try content.write(to: file)
    let error = #expect(throws: RecipeError.self) { try run(ModelBundle(opening: directory.path("merged")).unmerged(), [], to: "restored") }
    #expect(error?.subject == "model.layers.1.self_attn.k_proj.weight" && error?.kind == .badData)
    #expect(!FileManager.default.fileExists(atPath: directory.path("restored")))
    // A damaged, an incomplete and a missing record.
    for name in ["unmerge/2.safetensors", "unmerge/record.json"] {
      try Data("{}".utf8).write(to: url("merged/" + name))
      #expect(throws: (any Error).self) { try run(ModelBundle(opening: directory.path("merged")).unmerged(), [], to: "restored") }
    }
    // A record that leaves a weight out, one of nothing, and one whose files were exchanged.
    for change in [Change.dropped, .emptied, .exchanged] {
      try? FileManager.default.removeItem(at: url("merged"))
      _ = try run(model, [AdapterMerging(adapter: directory.path("adapter"))], to: "merged")
      let file = url("merged/unmerge/record.json")
      var record = try #require(try JSONValue(parsing: String(contentsOf: file, encoding: .utf8)).object)
      var weights = try #require(record["weights"]?.array)
      let merged = weights.indices.filter { weights[$0]["file"] != nil }
      switch change {
      case .dropped: weights[merged[0]] = .object(["name": weights[merged[0]]["name"] ?? "", "sha256": weights[merged[0]]["sha256"] ?? ""])
      case .emptied: weights = []
      case .exchanged:
        func entry(_ a: Int, _ b: Int) -> JSONValue {
          .object(["name": weights[a]["name"] ?? "", "sha256": weights[a]["sha256"] ?? "", "file": weights[b]["file"] ?? ""])
        }
        (weights[merged[0]], weights[merged[1]]) = (entry(merged[0], merged[1]), entry(merged[1], merged[0]))
      }
      record["weights"] = .array(weights)
      try JSONValue.object(record).text().write(to: file, atomically: true, encoding: .utf8)
      #expect(throws: (any Error).self) { try run(ModelBundle(opening: directory.path("merged")).unmerged(), [], to: "restored") }
    }
    try FileManager.default.removeItem(at: url("merged/unmerge"))
    let missing = #expect(throws: RecipeError.self) { try ModelBundle(opening: directory.path("merged")).unmerged() }
    #expect(missing?.kind == .missingInput)
  }

  private enum Change { case dropped, emptied, exchanged }

  /// A weight that no adapter touched, changed since: named, and nothing written.
  @Test func otherWeightsAreHeldToWhatTheyWere() throws {
    let model = try ModelBundle(opening: "demo")
    try makeAdapter("adapter", of: model)
    _ = try run(model, [AdapterMerging(adapter: directory.path("adapter"))], to: "merged")
    let file = url("merged/model.safetensors")
    var content = try Data(contentsOf: file)
    content[try #require(try offset(of: "model.embed_tokens.weight", in: content)) + 7] ^= 1
    try content.write(to: file)
    let error = #expect(throws: RecipeError.self) { try run(ModelBundle(opening: directory.path("merged")).unmerged(), [], to: "restored") }
    #expect(error?.subject == "model.embed_tokens.weight")
    #expect(!FileManager.default.fileExists(atPath: directory.path("restored")))
  }

  /// Merging again over the output replaces it, with its record; over its own adapter it is refused.
  @Test func outputsAreReplacedAndInputsAreNot() throws {
    let model = try ModelBundle(opening: "demo")
    try makeAdapter("adapter", of: model)
    func merge(_ name: String) throws {
      var settings = RunSettings(output: url(name))
      (settings.evaluation, settings.overwrite) = (nil, true)
      _ = try CompressionRun(
        model: model, recipe: Recipe(passes: [AdapterMerging(adapter: directory.path("adapter"))]), settings: settings
      ).execute()
    }
    try merge("merged")
    try merge("merged")
    let error = #expect(throws: RecipeError.self) { try merge("adapter") }
    #expect(error?.kind == .cannotCreate && (try? AdapterCheckpoint(url("adapter"))) != nil)
    // A directory that is no part of an output protects what is in it.
    try FileManager.default.createDirectory(at: url("merged/mine"), withIntermediateDirectories: false)
    #expect(throws: RecipeError.self) { try merge("merged") }
  }

  /// Factors that are no numbers, or sums beyond the weight's type: nothing is written.
  @Test(arguments: [Float.nan, .infinity, 1e38]) func valuesThatAreNoNumbersAreRefused(_ value: Float) throws {
    let model = try ModelBundle(opening: "demo")
    try makeAdapter("adapter", of: model)
    let file = url("adapter/adapter_model.safetensors")
    var content = try Data(contentsOf: file)
    let name = "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight"
    let start = try #require(try offset(of: name, in: content))
    for byte in 0..<4 { content[start + byte] = UInt8(truncatingIfNeeded: value.bitPattern >> (8 * byte)) }
    try content.write(to: file)
    if value.isFinite {
      let settings = url("adapter/adapter_config.json")
      let text = try String(contentsOf: settings, encoding: .utf8)
      let changed = text.replacingOccurrences(of: "\"lora_alpha\": ", with: "\"lora_alpha\": 100000000")
      #expect(changed != text)
      try changed.write(to: settings, atomically: true, encoding: .utf8)
    }
    let error = #expect(throws: CompressionError.self) { try run(model, [AdapterMerging(adapter: directory.path("adapter"))], to: "out") }
    #expect(error?.kind == .badData && error?.subject.hasPrefix("model.layers.0.self_attn.q_proj") == true)
    #expect(!FileManager.default.fileExists(atPath: directory.path("out")))
  }

  /// Ranges of inputs that calibration has fixed stay with the layer; a container without codes gets the sum as it is.
  @Test func staticInputsStayAndPlainValuesAreNotRounded() throws {
    let calibration = CalibrationPlan(text: "demo", samples: 8, sequenceLength: 64)
    var pass = RoundToNearest(bits: 8)
    pass.targets.activations = .int8Static
    var settings = RunSettings(output: url("static"))
    settings.evaluation = nil
    _ = try CompressionRun(
      model: ModelBundle(opening: "demo"), recipe: Recipe(passes: [pass, StaticActivationRanges()], calibration: calibration),
      settings: settings
    ).execute()
    let base = try ModelBundle(opening: directory.path("static"))
    try makeAdapter("adapter", of: base)
    let merge = AdapterMerging(adapter: directory.path("adapter"))
    _ = try run(base, [merge], to: "merged")
    let merged = try ModelBundle(opening: directory.path("merged"))
    for id in base.graph.parameterIDs {
      guard case .quantized(let before) = try base.graph[id].load(), case .quantized(let after) = try merged.graph[id].load() else {
        continue
      }
      #expect(before.inputScale == after.inputScale)
    }
    _ = try run(ModelBundle(opening: "demo"), [RoundToNearest(bits: 4, groupSize: 32)], to: "four")
    let report = try run(ModelBundle(opening: directory.path("four")), [merge], to: "plain", format: .safetensors)
    #expect(try #require(report.accuracy?.klDivergence?.mean) < 1e-8)
    #expect(report.warnings.contains { $0.contains("cannot be taken out") })
  }

  /// Where a tensor's bytes begin in a safetensors file.
  private func offset(of name: String, in content: Data) throws -> Int? {
    let length = content.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    let header = try JSONValue(parsing: String(decoding: content[8..<8 + length], as: UTF8.self))
    return header[name]?["data_offsets"]?.array?.first?.integer.map { 8 + length + $0 }
  }

  @Test func whatDoesNotFitIsRefused() throws {
    let model = try ModelBundle(opening: "demo")
    try makeAdapter("adapter", of: model)
    #expect(throws: (any Error).self) { try run(model, [AdapterMerging()], to: "out") }
    #expect(throws: (any Error).self) { try run(model, [AdapterMerging(adapter: directory.path("nothing"))], to: "out") }
    let error = #expect(throws: RecipeError.self) {
      try run(model, [HadamardRotation(), AdapterMerging(adapter: directory.path("adapter"))], to: "out")
    }
    #expect(error?.kind == .badConfiguration)
    #expect(directory.contents.filter { $0.hasPrefix("out") || $0.hasPrefix(".out") }.isEmpty)
  }
}
