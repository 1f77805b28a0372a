import DeepSeekOptimize
import Foundation
import Testing

/// Models that are odd in one respect each, made from the demo.
@Suite struct ModelBundleTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func copyDemo(_ name: String = "m") throws -> URL {
    let url = URL(fileURLWithPath: directory.path(name))
    try FileManager.default.copyItem(at: DemoModel.directory, to: url)
    return url
  }

  /// The demo's tensors as float32, some of them changed, some added.
  private func rewrite(_ model: URL, adding extras: [(String, Tensor)] = [], change: (String, Tensor) -> Tensor) throws {
    let source = try SafeTensorsCheckpoint(model)
    var tensors: [(String, Tensor)] = []
    for descriptor in source.descriptors {
      let tensor = try #require(try source.tensor(descriptor.name).asFloat32())
      tensors.append((descriptor.name, change(descriptor.name, tensor)))
    }
    tensors += extras
    let target = URL(fileURLWithPath: directory.path("tensors"))
    try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
    let writer = try SafeTensorsWriter(
      directory: target, tensors: tensors.map { TensorDescriptor(name: $0.0, dataType: $0.1.dataType, shape: $0.1.shape) })
    for (name, tensor) in tensors { try writer.write(name, tensor) }
    try writer.finish()
    let file = model.appendingPathComponent("model.safetensors")
    try FileManager.default.removeItem(at: file)
    try FileManager.default.moveItem(at: target.appendingPathComponent("model.safetensors"), to: file)
  }

  private func run(_ model: URL, to name: String, format: OutputFormat = .compressedTensors, passes: [any CompressionPass] = []) throws {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path(name)))
    settings.evaluation = nil
    _ = try CompressionRun(
      model: ModelBundle(opening: model.path), recipe: Recipe(passes: passes, format: format), settings: settings
    ).execute()
  }

  @Test func aReferenceOfNaNIsNamedNotTrapped() throws {
    let model = try copyDemo()
    try rewrite(model) { name, tensor in
      guard name == "model.norm.weight" else { return tensor }
      return Tensor([Float](repeating: .nan, count: tensor.shape.elementCount), shape: tensor.shape)
    }
    let settings = EvaluationSettings(tokens: 512)
    let (good, bad) = try (ModelBundle(opening: "demo"), ModelBundle(opening: model.path))
    for (own, reference, word) in [(good, bad, "reference"), (bad, good, "model"), (bad, bad, "model")] {
      let error = #expect(throws: EvaluationError.self) { try Measurement(model: own, reference: reference, settings: settings).report() }
      #expect(error?.kind == .badData && error?.subject.contains(word) == true)
      #expect(error?.problem.contains("model.norm.weight has 128 weights that are NaN") == true)
    }
    var generator = try TextGenerator(model: bad)
    #expect(throws: ExecutionError.self) { try generator.generate(from: "a", maximumTokens: 2) { _ in } }
  }

  /// Tensors that the graph does not know are passed on, also two whose names only their bytes tell apart.
  @Test func extraTensorsArePassedOn() throws {
    let model = try copyDemo()
    let extras: [(String, Tensor)] = [
      ("caf\u{E9}.x", Tensor([1, 2], shape: [2])), ("cafe\u{301}.x", Tensor([3], shape: [1])), ("scalar", Tensor([4], shape: [])),
    ]
    try rewrite(model, adding: extras) { $1 }
    try run(model, to: "out", passes: [RoundToNearest(bits: 8)])
    let written = try ModelBundle(opening: directory.path("out"))
    #expect(try written.weights.load("scalar").float32()?.float32Values() == [4])
    #expect(try written.weights.load("caf\u{E9}.x").float32()?.float32Values() == [1, 2])
    #expect(try written.weights.load("cafe\u{301}.x").float32()?.float32Values() == [3])
    #expect(written.graph.parameterCount == 1_049_728)
  }

  @Test func float64WeightsAreQuantizedAndMeasured() throws {
    let model = try copyDemo()
    try rewrite(model) { name, tensor in
      guard name.hasSuffix("up_proj.weight"), let values = tensor.float32Values() else { return tensor }
      return Tensor(dataType: .float64, shape: tensor.shape) { bytes in
        for (index, value) in values.enumerated() { bytes.storeBytes(of: Double(value), toByteOffset: index * 8, as: Double.self) }
      }
    }
    let report = try Measurement(
      model: ModelBundle(opening: model.path), reference: ModelBundle(opening: "demo"), settings: EvaluationSettings(tokens: 1024)
    ).report()
    #expect(try #require(report.accuracy?.klDivergence?.max) < 1e-9)
  }

  @Test func aTokenizerBeyondTheModelIsRefusedBeforeAnyWork() throws {
    let model = try copyDemo()
    let configuration = model.appendingPathComponent("config.json")
    let text = try String(contentsOf: configuration, encoding: .utf8).replacingOccurrences(
      of: "\"vocab_size\": 1024", with: "\"vocab_size\": 512")
    try text.write(to: configuration, atomically: true, encoding: .utf8)
    try rewrite(model) { name, tensor in
      guard name.contains("embed_tokens") || name.contains("lm_head"), let values = tensor.float32Values() else { return tensor }
      return Tensor(Array(values.prefix(512 * 128)), shape: [512, 128])
    }
    let error = #expect(throws: RecipeError.self) { try Measurement(model: ModelBundle(opening: model.path)).report() }
    #expect(error?.kind == .badData && error?.subject == "tokenizer.json")
  }

  @Test func linksOutOfTheModelAreRefused() throws {
    let secret = directory.path("secret")
    try "secret".write(toFile: secret, atomically: true, encoding: .utf8)
    for name in ["tokenizer_config.json", "config.json"] {
      let model = try copyDemo("m-\(name)")
      let file = model.appendingPathComponent(name)
      try FileManager.default.removeItem(at: file)
      try FileManager.default.createSymbolicLink(atPath: file.path, withDestinationPath: secret)
      let error = #expect(throws: CheckpointError.self) { try run(model, to: "out") }
      #expect(error?.kind == .badData)
      #expect(!FileManager.default.fileExists(atPath: directory.path("out")))
    }
  }

  @Test func aLoneHDF5FileBringsItsTokenizerAlong() throws {
    let model = try copyDemo()
    try run(model, to: "h", format: .hdf5)
    let container = try HDF5Checkpoint(opening: URL(fileURLWithPath: directory.path("h/model.h5")))
    #expect(container.attributeText("config.json") != nil)
    try run(URL(fileURLWithPath: directory.path("h")), to: "back")
    #expect(
      try ModelBundle(opening: directory.path("back")).tokenizer().encode("The sea")
        == ModelBundle(opening: "demo").tokenizer().encode("The sea"))
  }

  /// The same sentences in both spellings of a line end, read as the same text.
  @Test(arguments: ["\n", "\r\n"])
  func jsonLinesMayEndEitherWay(_ end: String) throws {
    let file = URL(fileURLWithPath: directory.path("t.jsonl"))
    let passage = String(repeating: "The lamp was lit at dusk and the keeper wrote it down. ", count: 30)
    try "{\"text\": \"\(passage)\"}\(end){\"text\": \"\(passage)\"}\(end)\(end)".write(to: file, atomically: true, encoding: .utf8)
    let report = try Measurement(model: ModelBundle(opening: "demo"), settings: EvaluationSettings(text: file, context: 64)).report()
    #expect(try #require(report.accuracy?.tokens) > 500)
    try "{\"text\": 3}\(end)".write(to: file, atomically: true, encoding: .utf8)
    let error = #expect(throws: RecipeError.self) {
      try Measurement(model: ModelBundle(opening: "demo"), settings: EvaluationSettings(text: file)).report()
    }
    #expect(error?.subject.contains("line 1") == true)
  }

  /// Batches, budgets and threads cut the work; the figures do not notice.
  @Test func figuresDoNotDependOnHowTheWorkIsCut() throws {
    var pass = RoundToNearest(bits: 3, groupSize: 32)
    pass.targets.ignore = ["q_proj"]
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path("out")))
    settings.evaluation = nil
    _ = try CompressionRun(model: ModelBundle(opening: "demo"), recipe: Recipe(passes: [pass]), settings: settings).execute()
    let (model, reference) = try (ModelBundle(opening: directory.path("out")), ModelBundle(opening: "demo"))
    var text = EvaluationSettings(context: 100, tokens: 1500)
    let whole = try Measurement(model: model, reference: reference, settings: text, threads: 1).report().accuracy
    for (batch, memory, threads) in [(1, nil, 2), (3, 1 << 20, 3), (15, 100_000, 1)] as [(Int, Int?, Int)] {
      text.batchSize = batch
      let cut = try Measurement(model: model, reference: reference, settings: text, threads: threads, maximumMemory: memory).report()
        .accuracy
      #expect(cut == whole)
    }
  }
}
