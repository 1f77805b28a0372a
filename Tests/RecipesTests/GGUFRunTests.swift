import DeepSeekOptimize
import Foundation
import Testing

@testable import Recipes

/// GGUF files from models and back: the values, the types, what is refused.
@Suite struct GGUFRunTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func settings(_ name: String, tokens: Int? = nil) -> RunSettings {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path(name)))
    settings.evaluation = tokens.map { EvaluationSettings(context: 64, tokens: $0) }
    settings.threads = 2
    return settings
  }

  @discardableResult
  private func convert(_ model: String, to format: OutputFormat, _ name: String) throws -> CompressionReport {
    try CompressionRun(
      model: ModelBundle(opening: model), recipe: Recipe(passes: [], format: format), settings: settings(name)
    ).execute()
  }

  private func pass(_ type: WeightType, bits: Int = 8) -> RoundToNearest {
    var pass = RoundToNearest(bits: bits)
    pass.targets.type = type
    return pass
  }

  /// Every weight comes back as it was, and the tokenizer from the file alone gives the same tokens.
  @Test func aModelComesBack() throws {
    try convert("demo", to: .gguf, "out")
    try FileManager.default.createDirectory(atPath: directory.path("alone"), withIntermediateDirectories: true)
    try FileManager.default.moveItem(atPath: directory.path("out/model.gguf"), toPath: directory.path("alone/demo.gguf"))
    let (demo, file) = (try ModelBundle(opening: "demo"), try ModelBundle(opening: directory.path("alone/demo.gguf")))
    #expect(file.weights.names == demo.weights.names)
    for name in demo.weights.names where demo.weights.describe(name)?.shape.rank == 2 {
      #expect(try file.weights.digest(name) == demo.weights.digest(name), "\(name)")
    }
    let text = "In 1997, the town had 12,345 inhabitants — twice as many as before.\n\n  \"Naïve\" café"
    #expect(try file.tokenizer().encode(text) == demo.tokenizer().encode(text))
    try convert(directory.path("alone/demo.gguf"), to: .compressedTensors, "back")
    let back = try ModelBundle(opening: directory.path("back"))
    #expect(back.graph.parameterCount == demo.graph.parameterCount)
    #expect(try back.tokenizer().encode(text) == demo.tokenizer().encode(text))
  }

  /// Of superblocks, of minima, of levels: what is read again is what the report measured, and its values are those of the codes.
  @Test(arguments: [
    (WeightType.q8_0, "W8A16 g32", 8.5), (.q6_K, "Q6_K", 6.5625), (.q5_K, "Q5_K", 5.5), (.q5_0, "W5A16 g32", 5.5),
    (.q5_1, "W5A16 g32 affine", 6), (.q4_K, "Q4_K", 4.5), (.q4_0, "W4A16 g32", 4.5), (.q4_1, "W4A16 g32 affine", 5),
    (.iq4_NL, "IQ4_NL g32", 4.5), (.mxfp4, "MXFP4", 4.25), (.q3_K, "Q3_K", 3.4375), (.q2_K, "Q2_K", 2.625),
  ])
  func everyTypeIsWrittenAndRead(_ type: WeightType, _ name: String, _ bits: Double) throws {
    try RandomLlama.write(to: URL(fileURLWithPath: directory.path("model")))
    let model = try ModelBundle(opening: directory.path("model"))
    let report = try CompressionRun(
      model: model, recipe: Recipe(passes: [pass(type)], format: .gguf), settings: settings("out", tokens: 512)
    ).execute()
    let layers = try #require(report.layers)
    #expect(layers.count == 14)
    let worst = layers.compactMap(\.weightSQNRdB).min()
    #expect(try #require(worst) > 5.2 * bits - 6)
    let file = try ModelBundle(opening: directory.path("out"))
    let weight = "model.layers.1.mlp.down_proj.weight"
    guard case .quantized(let scheme)? = file.weights.describe(weight)?.storage else {
      Issue.record("\(weight) is dense")
      return
    }
    #expect(scheme.name == name)
    #expect(Double(try #require(file.weights.storedByteCount(weight)) * 8) / Double(256 * 512) == bits)
    // The same values, as any reader has them.
    try convert(directory.path("out"), to: .safetensors, "values")
    let values = try ModelBundle(opening: directory.path("values"))
    for name in [weight, "model.layers.0.self_attn.q_proj.weight"] {
      let stored = try #require(try file.weights.load(name).float32()?.float32Values())
      #expect(try values.weights.load(name).float32()?.float32Values() == stored)
    }
  }

  /// What the widths lead to, where superblocks divide the rows and where not.
  @Test(arguments: [(8, "W8A16 g32"), (6, "Q6_K"), (5, "Q5_K"), (4, "Q4_K"), (3, "Q3_K"), (2, "Q2_K")])
  func bitsChooseTheType(_ bits: Int, _ name: String) throws {
    try RandomLlama.write(to: URL(fileURLWithPath: directory.path("model")))
    let wide = try pass(.gguf, bits: bits).targets.schemes(for: ModelBundle(opening: directory.path("model")).graph)
    #expect(Set(wide.values.map(\.name)) == [name])
    let narrow = try pass(.gguf, bits: bits).targets.decisions(for: ModelBundle(opening: "demo").graph)
    #expect(narrow.values.compactMap(\.scheme).allSatisfy { $0.granularity == .group(32) && $0.scales == .direct })
    let reasons = Set(narrow.values.filter { $0.scheme != nil }.map(\.reason))
    #expect(reasons == [bits == 8 ? .setting : .smallerBlocks(insteadOf: name)])
  }

  /// Rounding with feedback onto scales of scales, with and without minima, and onto levels beats the search that it starts from.
  @Test(arguments: [WeightType.q4_K, .q3_K, .q5_1, .iq4_NL, .mxfp4, .nvfp4, .fp8])
  func feedbackRoundsOntoBlocks(_ type: WeightType) throws {
    try RandomLlama.write(to: URL(fileURLWithPath: directory.path("model")))
    let model = try ModelBundle(opening: directory.path("model"))
    let calibration = CalibrationPlan(text: DemoModel.evaluationText.path, samples: 12, sequenceLength: 64)
    var imatrix = ImportanceMatrix()
    imatrix.targets.type = type
    var gptq = GPTQ()
    gptq.targets.type = type
    let passes: [any CompressionPass] = [imatrix, gptq]
    let reports = try passes.enumerated().map { index, pass in
      try CompressionRun(
        model: model, recipe: Recipe(passes: [pass], format: type.isGGUF ? .gguf : .compressedTensors, calibration: calibration),
        settings: settings("out\(index)", tokens: 1024)
      ).execute()
    }
    let divergences = reports.map { $0.accuracy?.klDivergence?.mean }
    let (searched, fed) = (try #require(divergences[0]), try #require(divergences[1]))
    // Eight-bit floats take no feedback, which the report says.
    if type == .fp8 {
      #expect(reports[1].layers?.allSatisfy { $0.fallback?.contains("without feedback") == true } == true)
    } else {
      #expect(fed < searched)
    }
  }

  /// A masked language model's encoder: `bert.` before its names, `gamma` and `beta` in them.
  @Test func anEncoderWithAHeadComesBack() throws {
    let fixture = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("ExecutionTests/EncoderFixtures/masked-lm")
    let report = try convert(fixture.path, to: .gguf, "out")
    #expect(report.warnings.contains { $0.contains("cls.predictions") && $0.contains("left out") })
    let (source, file) = (try ModelBundle(opening: fixture.path), try ModelBundle(opening: directory.path("out")))
    #expect(file.weights.names.count == source.weights.names.count { !$0.hasPrefix("cls.") })
    let gains = try source.weights.load("bert.embeddings.LayerNorm.gamma").float32()?.float32Values()
    #expect(try file.weights.load("embeddings.LayerNorm.weight").float32()?.float32Values() == gains)
  }

  /// A rotation gives a tied head a weight of its own, which carries the last norm's gains: without it the file is another model.
  @Test func aHeadThatARotationMadeIsWritten() throws {
    try RandomLlama.write(to: URL(fileURLWithPath: directory.path("model")))
    let model = try ModelBundle(opening: directory.path("model"))
    let reports = try [OutputFormat.gguf, .compressedTensors].map { format in
      try CompressionRun(
        model: model, recipe: Recipe(passes: [HadamardRotation()], format: format), settings: settings(format.rawValue, tokens: 512)
      ).execute()
    }
    let (file, plain) = (try ModelBundle(opening: directory.path("gguf")), try ModelBundle(opening: directory.path("compressed-tensors")))
    #expect(file.configuration["tie_word_embeddings"] == false)
    #expect(Set(file.weights.names) == Set(plain.weights.names) && file.weights.names.contains("lm_head.weight"))
    for name in plain.weights.names {
      #expect(try file.weights.load(name).float32()?.float32Values() == plain.weights.load(name).float32()?.float32Values(), "\(name)")
    }
    #expect(reports[0].accuracy?.compressed == reports[1].accuracy?.compressed)
    #expect(!reports[0].warnings.contains { $0.contains("left out") })
  }

  /// Stacked experts, latents that are split, layers that files do without.
  @Test func aMixtureComesBack() throws {
    try MixtureModel.write(to: URL(fileURLWithPath: directory.path("model")))
    let model = try ModelBundle(opening: directory.path("model"))
    let report = try CompressionRun(
      model: model, recipe: Recipe(passes: [pass(.q8_0)], format: .gguf), settings: settings("out", tokens: 1024)
    ).execute()
    #expect(report.warnings.contains { $0.contains("left out") })
    let file = try ModelBundle(opening: directory.path("out/model.gguf"))
    #expect(Set(model.weights.names).subtracting(file.weights.names).allSatisfy { $0.hasPrefix("model.layers.3.") })
    let latent = "model.layers.1.self_attn.kv_b_proj.weight"
    #expect(try file.weights.digest(latent) == model.weights.digest(latent))
    for expert in 0..<MixtureModel.experts {
      let name = "model.layers.2.mlp.experts.\(expert).down_proj.weight"
      let (values, source) = (try file.weights.load(name).float32(), try model.weights.load(name).float32())
      let pairs = zip(try #require(values?.float32Values()), try #require(source?.float32Values()))
      let noise = pairs.reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
      #expect(noise < 1e-4 * (source?.float32Values() ?? []).reduce(0) { $0 + $1 * $1 })
    }
    // Eight bits of random weights.
    #expect(try #require(report.accuracy?.klDivergence?.mean) < 0.01)
  }

  /// What a format has no codes of is the format's matter, not the type's: compressed-tensors has MXFP4 of latents' projections.
  @Test func latentsStayDenseInGGUFAlone() throws {
    try MixtureModel.write(to: URL(fileURLWithPath: directory.path("model")))
    let model = try ModelBundle(opening: directory.path("model"))
    for (format, isQuantized) in [(OutputFormat.gguf, false), (.compressedTensors, true)] {
      let run = CompressionRun(model: model, recipe: Recipe(passes: [pass(.mxfp4)], format: format), settings: settings("out"))
      let layer = try #require(try run.plan().layers.first { $0.name.hasSuffix("layers.1.self_attn.kv_b_proj.weight") })
      #expect((layer.storage != .dense(.float32)) == isQuantized && (layer.reason == .keptByFormat) != isQuantized)
    }
  }

  /// What all weights together show, and the tokenizer, are refused before any work, by a plan as well.
  @Test func whatTheWholeFileCannotSayIsRefused() throws {
    try MixtureModel.write(to: URL(fileURLWithPath: directory.path("model")))
    var mixed = pass(.q8_0)
    mixed.targets.overrides = [.init(pattern: ModulePattern("re:.*layers\\.1.*experts\\.3\\.up_proj"), type: .q4_0)]
    func refusal(_ passes: [any CompressionPass]) throws -> (any Failure)? {
      let model = try ModelBundle(opening: directory.path("model"))
      let run = CompressionRun(model: model, recipe: Recipe(passes: passes, format: .gguf), settings: settings("out"))
      return #expect(throws: (any Error).self) { try run.plan() } as? any Failure
    }
    let experts = try #require(try refusal([mixed]))
    #expect(experts.kind == .usage && experts.problem.contains("expert 3") && experts.remedy.contains("same bits"))
    let file = URL(fileURLWithPath: directory.path("model/tokenizer.json"))
    var tokenizer = try #require(JSONFile.read(file).object)
    tokenizer["pre_tokenizer"] = ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true]
    try Data(JSONValue.object(tokenizer).text().utf8).write(to: file)
    #expect(try refusal([])?.subject.contains("tokenizer.json") == true)
    #expect(directory.contents == ["model"])
  }

  /// A file without a tokenizer is no file to llama.cpp, which is said; what a reader had to guess is said as well.
  @Test func whatIsLeftOpenIsSaid() throws {
    try RandomLlama.write(to: URL(fileURLWithPath: directory.path("model")))
    let report = try convert(directory.path("model"), to: .gguf, "complete")
    #expect(report.warnings.isEmpty, "\(report.warnings)")
    for name in ["tokenizer.json", "tokenizer_config.json"] {
      try FileManager.default.removeItem(atPath: directory.path("model/\(name)"))
      try FileManager.default.removeItem(atPath: directory.path("complete/\(name)"))
    }
    #expect(try convert(directory.path("model"), to: .gguf, "mute").warnings == [GGUFOutput.noTokenizer])
    // The same file, without the name of how text is cut into words.
    let bytes = try Data(contentsOf: URL(fileURLWithPath: directory.path("complete/model.gguf")))
    let key = Data("tokenizer.ggml.pre".utf8)
    let place = try #require(bytes.range(of: key))
    var changed = bytes
    changed.replaceSubrange(place, with: Data("tokenizer.ggml.prx".utf8))
    try changed.write(to: URL(fileURLWithPath: directory.path("complete/model.gguf")))
    let warnings = try convert(directory.path("complete"), to: .compressedTensors, "back").warnings
    #expect(warnings.count == 1 && warnings[0].contains("cut into words"), "\(warnings)")
  }

  /// Codes that no type of GGUF's is are refused before any work, and the nearest that one is is named.
  @Test func whatItCannotHoldIsRefused() throws {
    let run = CompressionRun(
      model: try ModelBundle(opening: "demo"), recipe: Recipe(passes: [RoundToNearest(bits: 4, groupSize: 64)], format: .gguf),
      settings: settings("out"))
    let error = #expect(throws: RecipeError.self) { try run.execute() }
    #expect(error?.kind == .usage && error?.remedy.contains("q4_0") == true)
    #expect(directory.contents.isEmpty)
  }
}
