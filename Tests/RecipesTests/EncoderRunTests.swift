import DeepSeekOptimize
import Foundation
import Testing

/// An encoder from a directory of sentence-transformers to one: what is measured, what comes along, what is refused.
@Suite struct EncoderRunTests {
  private let directory: TemporaryDirectory
  private let model: ModelBundle

  init() throws {
    directory = try TemporaryDirectory()
    try Self.write(to: directory.url.appendingPathComponent("model"))
    try Data("the first line\nanother one of words\n\nand a third, longer than eight tokens by far\nthe first line again\n".utf8)
      .write(to: directory.url.appendingPathComponent("text.txt"))
    model = try ModelBundle(opening: directory.path("model"))
  }

  private static let width = 32

  /// - Parameter isOld: with the names that checkpoints of a model with a head had at first.
  private static func write(to folder: URL, isOld: Bool = false) throws {
    try FileManager.default.createDirectory(at: folder.appendingPathComponent("1_Pooling"), withIntermediateDirectories: true)
    var vocabulary: [String] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary += [
      "the", "first", "line", "another", "one", "of", "words", "and", "a", "third", ",", "again", "##er", "long", "than", "by", "far",
    ]
    let ids = vocabulary.enumerated().map { "\"\($1)\": \($0)" }.joined(separator: ", ")
    let files = [
      "config.json": """
      {"model_type": "bert", "vocab_size": \(vocabulary.count), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
       "intermediate_size": 64, "max_position_embeddings": 16, "type_vocab_size": 2, "hidden_act": "gelu"}
      """,
      "tokenizer.json": """
      {"version": "1.0", "added_tokens": [], "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
       "strip_accents": null, "lowercase": true}, "pre_tokenizer": {"type": "BertPreTokenizer"},
       "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}, "decoder": {"type": "WordPiece", "prefix": "##",
       "cleanup": true}, "model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {\(ids)}}}
      """,
      "modules.json": """
      [{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
       {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
       {"idx": 2, "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}]
      """,
      "sentence_bert_config.json": "{\"max_seq_length\": 8}",
      "1_Pooling/config.json": "{\"pooling_mode_cls_token\": false, \"pooling_mode_mean_tokens\": true}",
    ]
    for (name, text) in files { try Data(text.utf8).write(to: folder.appendingPathComponent(name)) }
    let norms = isOld ? ["gamma", "beta"] : ["weight", "bias"]
    var shapes: [String: Shape] = [
      "embeddings.word_embeddings.weight": [vocabulary.count, width], "embeddings.position_embeddings.weight": [16, width],
      "embeddings.token_type_embeddings.weight": [2, width], "pooler.dense.weight": [width, width], "pooler.dense.bias": [width],
    ]
    func norm(_ name: String) { for part in norms { shapes["\(name).\(part)"] = [width] } }
    func linear(_ name: String, _ outputs: Int, _ inputs: Int) {
      shapes["\(name).weight"] = [outputs, inputs]
      shapes["\(name).bias"] = [outputs]
    }
    norm("embeddings.LayerNorm")
    for layer in 0..<2 {
      let scope = "encoder.layer.\(layer)"
      for part in ["query", "key", "value"] { linear("\(scope).attention.self.\(part)", width, width) }
      linear("\(scope).attention.output.dense", width, width)
      linear("\(scope).intermediate.dense", 64, width)
      linear("\(scope).output.dense", width, 64)
      norm("\(scope).attention.output.LayerNorm")
      norm("\(scope).output.LayerNorm")
    }
    let tensors = shapes.sorted { $0.key < $1.key }.map {
      TensorDescriptor(name: (isOld ? "bert." : "") + $0, dataType: .float32, shape: $1)
    }
    let writer = try SafeTensorsWriter(directory: folder, tensors: tensors)
    for tensor in tensors {
      let seed = tensor.name.utf8.reduce(UInt64(7)) { $0 &* 31 &+ UInt64($1) }
      let center: Float = tensor.name.hasSuffix("Norm.\(norms[0])") ? 0.5 : -0.5
      let values = (0..<tensor.shape.elementCount).map { (index: Int) -> Float in
        let draw = SeededRandom.value(seed: seed, index: UInt64(index)) >> 40
        return Float(draw) / Float(1 << 24) + center
      }
      try writer.write(tensor.name, Tensor(values, shape: tensor.shape))
    }
    try writer.finish()
  }

  private func settings(_ name: String) -> RunSettings {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path(name)))
    settings.evaluation = EvaluationSettings(text: URL(fileURLWithPath: directory.path("text.txt")))
    settings.threads = 2
    return settings
  }

  @Test func embeddingsAreMeasuredAndSettingsComeAlong() throws {
    let report = try CompressionRun(model: model, recipe: Recipe(passes: [RoundToNearest(bits: 8)]), settings: settings("out")).execute()
    let embeddings = try #require(report.embeddings)
    #expect(embeddings.sentences == 4 && embeddings.pooling == "mean" && report.accuracy == nil && report.speed == nil)
    #expect((embeddings.meanCosine ?? 0) > 0.999 && (embeddings.leastCosine ?? 0) <= (embeddings.meanCosine ?? 0))
    #expect(embeddings.nearestAgreement == 1)
    #expect(report.layers?.count == 12 && report.layers?.allSatisfy { $0.outputSQNRdB != nil } == true)
    #expect(try CompressionReport(json: report.json) == report)
    #expect(ReportTable(report).text().contains("rank correlation") && HTMLReport.render(report).contains("id=\"embeddings\""))
    for file in ["modules.json", "sentence_bert_config.json", "1_Pooling/config.json"] {
      let (before, after) = (directory.path("model/\(file)"), directory.path("out/\(file)"))
      #expect(try Data(contentsOf: URL(fileURLWithPath: before)) == Data(contentsOf: URL(fileURLWithPath: after)), "\(file)")
    }
    // What is not run is dense, and a layer to loaders.
    let written = try ModelBundle(opening: directory.path("out"))
    #expect(written.checkpoint.descriptor("pooler.dense.weight")?.dataType == .float32)
    #expect(written.configuration["quantization_config"]?["ignore"]?.array?.contains("pooler.dense") == true)
  }

  /// The same figures from the command that compares two models, and vectors of length 1 where they are normalized.
  @Test func embeddingsOfTwoModelsCompare() throws {
    let report = try CompressionRun(
      model: model, recipe: Recipe(passes: [RoundToNearest(bits: 4, groupSize: 32)]), settings: settings("out")
    )
    .execute()
    let evaluation = EvaluationSettings(text: URL(fileURLWithPath: directory.path("text.txt")))
    let other = try Measurement(model: ModelBundle(opening: directory.path("out")), reference: model, settings: evaluation).report()
    #expect(other.embeddings == report.embeddings)
    let file = URL(fileURLWithPath: directory.path("embeddings.safetensors"))
    try model.saveEmbeddings(of: evaluation, to: file, pool: ThreadPool(threads: 2))
    let embeddings = try SafeTensorsFile(file).tensor("embeddings")
    #expect(embeddings.shape == [4, Self.width])
    let values = try #require(embeddings.float32Values())
    for row in 0..<4 {
      let length = values[row * Self.width..<(row + 1) * Self.width].reduce(0) { $0 + $1 * $1 }
      #expect(abs(length - 1) < 1e-5)
    }
  }

  /// A GGUF file has one name for a weight, checkpoints have several: what is written is compared and measured all the same.
  @Test func olderNamesGoIntoGGUF() throws {
    try Self.write(to: directory.url.appendingPathComponent("old"), isOld: true)
    let old = try ModelBundle(opening: directory.path("old"))
    var pass = RoundToNearest(bits: 8)
    pass.targets.type = .q8_0
    let report = try CompressionRun(model: old, recipe: Recipe(passes: [pass], format: .gguf), settings: settings("out")).execute()
    let layers = try #require(report.layers)
    #expect(layers.count == 12 && layers.allSatisfy { $0.weightSQNRdB != nil && $0.outputSQNRdB != nil && $0.format == "W8A16 g32" })
    #expect(layers.allSatisfy { $0.name.hasPrefix("bert.encoder.layer.") })
    #expect((report.embeddings?.meanCosine ?? 0) > 0.999)
    let file = try ModelBundle(opening: directory.path("out"))
    let norm = "encoder.layer.1.output.LayerNorm"
    let (stored, source) = (try file.weights.load("\(norm).weight").float32(), try old.weights.load("bert.\(norm).gamma").float32())
    #expect(stored?.float32Values() == source?.float32Values())
  }

  /// How states become one embedding goes into the file and out of it; what its readers compute for gelu does, too.
  @Test(arguments: [("mean_tokens", GGUFPooling.mean, "mean"), ("cls_token", .first, "first"), ("max_tokens", nil, "mean")])
  func poolingIsSaidInGGUF(_ mode: String, _ said: GGUFPooling?, _ name: String) throws {
    try Data("{\"pooling_mode_\(mode)\": true}".utf8).write(to: directory.url.appendingPathComponent("model/1_Pooling/config.json"))
    let report = try CompressionRun(model: model, recipe: Recipe(passes: [], format: .gguf), settings: settings("out")).execute()
    #expect(report.warnings.contains { $0.contains("largest value") } == (said == nil))
    #expect(report.warnings.contains { $0.contains("gelu") })
    try FileManager.default.createDirectory(atPath: directory.path("alone"), withIntermediateDirectories: true)
    try FileManager.default.moveItem(atPath: directory.path("out/model.gguf"), toPath: directory.path("alone/model.gguf"))
    let file = try ModelBundle(opening: directory.path("alone/model.gguf"))
    #expect((file.checkpoint as? GGUFCheckpoint)?.gguf.pooling == said)
    #expect(file.configuration["hidden_act"] == "gelu_pytorch_tanh")
    #expect((file.checkpoint as? GGUFCheckpoint)?.gguf.string("general.size_label") == "18K")
    let evaluation = EvaluationSettings(text: URL(fileURLWithPath: directory.path("text.txt")))
    #expect(try Measurement(model: file, reference: model, settings: evaluation).report().embeddings?.pooling == name)
    // As files of a directory again.
    _ = try CompressionRun(model: file, recipe: Recipe(passes: [], format: .safetensors), settings: settings("back")).execute()
    #expect(FileManager.default.fileExists(atPath: directory.path("back/modules.json")) == (said != nil))
    let again = try ModelBundle(opening: directory.path("back"))
    #expect(try Measurement(model: again, reference: file, settings: evaluation).report().embeddings?.pooling == name)
  }

  @Test func whatTakesPredictionsIsRefused() throws {
    #expect(throws: RecipeError.self) { try TextGenerator(model: model) }
    #expect(throws: RecipeError.self) { try Measurement(model: model).report() }
    #expect(throws: RecipeError.self) { try model.logits(of: "the", tokens: 4, pool: ThreadPool(threads: 1)) }
    #expect(throws: RecipeError.self) {
      try ModelBundle(opening: "demo").saveEmbeddings(of: EvaluationSettings(), to: directory.url, pool: ThreadPool())
    }
    var gated = settings("gated")
    gated.gates.maximumKLDivergence = 0.1
    #expect(throws: RecipeError.self) {
      try CompressionRun(model: model, recipe: Recipe(passes: [RoundToNearest(bits: 8)]), settings: gated).plan()
    }
    var fast = settings("fast")
    fast.evaluation?.arithmetic = .sixteenBit
    for measure in [
      { try CompressionRun(model: model, recipe: Recipe(passes: [RoundToNearest(bits: 8)]), settings: fast).execute() },
      { try Measurement(model: model, reference: model, settings: fast.evaluation ?? EvaluationSettings()).report() },
    ] {
      let error = #expect(throws: RecipeError.self) { try measure() }
      #expect(error?.kind == .usage && error?.subject == "--compute 16bit")
    }
    let pooling = directory.url.appendingPathComponent("model/1_Pooling/config.json")
    try Data("{\"pooling_mode_lasttoken\": true}".utf8).write(to: pooling)
    let error = #expect(throws: RecipeError.self) {
      try CompressionRun(
        model: model, recipe: Recipe(passes: [RoundToNearest(bits: 8)]), settings: settings("out")
      ).execute()
    }
    #expect(error?.problem.contains("pooling_mode_lasttoken") == true)
  }
}
