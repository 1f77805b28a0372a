import Compression
import Diagnostics
import Execution
import Formats
import Foundation
import ModelGraph
import Recipes
import StructuredData
import Tensors
import Testing

/// Files of Keras against what KerasHub computes with them (make-keras-goldens.py), and what we write in its layout.
@Suite struct KerasGoldenTests {
  private static let fixtures = Bundle.module.resourceURL?.appendingPathComponent("KerasFixtures") ?? URL(fileURLWithPath: "KerasFixtures")

  private let golden: SafeTensorsFile
  private let place: URL

  init() throws {
    golden = try SafeTensorsFile(Self.fixtures.appendingPathComponent("golden.safetensors"))
    place = FileManager.default.temporaryDirectory.appendingPathComponent("keras-golden-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
  }

  private static func path(_ name: String) -> String { fixtures.appendingPathComponent(name).path }

  private func logits(_ graph: ModelGraph) throws -> Matrix {
    let ids = try golden.tensor("input_ids")
    let window = ids.withUnsafeBytes { bytes in
      (0..<ids.shape[0]).map { Int32(truncatingIfNeeded: bytes.loadUnaligned(fromByteOffset: $0 * 8, as: Int64.self)) }
    }
    return try GoldenModel.logits(graph, windows: [window], interpreter: Interpreter(pool: ThreadPool(threads: 2)))
  }

  private func difference(_ graph: ModelGraph, from name: String) throws -> Float {
    let expected = try #require(golden.tensor(name).float32Values())
    let found = try logits(graph)
    try #require(found.rows * found.columns == expected.count)
    return expected.enumerated().map { abs($1 - found.pointer[$0]) }.max() ?? .infinity
  }

  @Test(arguments: [
    ("llama", "llama"), ("task.keras", "llama"), ("legacy.h5", "llama"), ("llama/model.weights.h5", "llama"),
    ("mistral-bf16", "mistral-bf16"),
  ])
  func logitsAreThoseOfKerasHub(_ file: String, _ name: String) throws {
    let model = try ModelBundle(opening: Self.path(file))
    #expect(try difference(model.graph, from: name) <= 1e-4)
  }

  /// Keras rounds inputs to 127 codes on either side, we to 127.5: two roundings are as far apart as either is from the truth, and no further.
  @Test func quantizedLayersAreThoseOfKeras() throws {
    let model = try ModelBundle(opening: Self.path("llama-int8"))
    let quantized = model.weights.names.filter { if case .quantized? = model.weights.describe($0)?.storage { true } else { false } }
    #expect(quantized.count == 15)
    #expect(quantized.contains("lm_head.weight"))
    let found = try logits(model.graph)
    let (theirs, exact) = (
      try #require(golden.tensor("llama-int8").float32Values()), try #require(golden.tensor("llama").float32Values())
    )
    func distance(_ left: (Int) -> Float, _ right: [Float]) -> Double {
      right.indices.reduce(0) { $0 + pow(Double(left($1) - right[$1]), 2) }.squareRoot()
    }
    let apart = distance({ found.pointer[$0] }, theirs)
    #expect(apart <= 1.5 * distance({ theirs[$0] }, exact), "\(apart)")
  }

  /// The weights themselves are Keras's to the last bit of a division.
  @Test(arguments: ["llama-int8", "tied-int8"])
  func codesAndScalesAreThoseOfKeras(_ name: String) throws {
    let model = try ModelBundle(opening: Self.path(name))
    let file = try HDF5Checkpoint(opening: Self.fixtures.appendingPathComponent("\(name)/model.weights.h5"))
    let layer = "layers.llama_transformer_decoder_1._feedforward_output_dense.vars"
    let codes = try file.tensor("\(layer).0").withUnsafeBytes { Array($0.bindMemory(to: Int8.self)) }
    let scales = try #require(file.tensor("\(layer).1").float32Values())
    guard case .quantized(let weight) = try model.weights.load("model.layers.1.mlp.down_proj.weight") else {
      Issue.record("not quantized")
      return
    }
    let values = try #require(weight.dequantized().float32Values())
    let (inputs, outputs) = (weight.inputs, weight.outputs)
    #expect(codes.count == inputs * outputs)
    for input in 0..<inputs {
      for output in 0..<outputs {
        #expect(abs(values[output * inputs + input] - Float(codes[input * outputs + output]) / scales[output]) <= 1e-6)
      }
    }
    // A head that is the embedding becomes a layer of its own, which rounds its inputs as Keras's does.
    #expect(model.graph.sharedParameters.isEmpty)
    #expect(try difference(model.graph, from: name) < 0.6)
  }

  private func run(_ source: String, _ recipe: Recipe, to name: String) throws -> ModelBundle {
    var settings = RunSettings(output: place.appendingPathComponent(name))
    settings.evaluation = nil
    settings.threads = 2
    _ = try CompressionRun(model: ModelBundle(opening: Self.path(source)), recipe: recipe, settings: settings).execute()
    return try ModelBundle(opening: place.appendingPathComponent(name).path)
  }

  @Test(arguments: ["llama", "mistral-bf16"])
  func conversionToItsOwnContainerKeepsEveryBit(_ name: String) throws {
    defer { try? FileManager.default.removeItem(at: place) }
    // HDF5 is Keras's layout for what came in it.
    let written = try run(name, Recipe(passes: [], format: .hdf5), to: "out")
    #expect(written.checkpoint is KerasCheckpoint)
    let source = try ModelBundle(opening: Self.path(name))
    #expect(written.weights.names == source.weights.names)
    for weight in source.weights.names {
      #expect(try written.weights.load(weight).digest() == source.weights.load(weight).digest(), "\(weight)")
    }
    #expect(written.configuration == source.configuration)
  }

  @Test func layersOfEightBitsAreWrittenAsKerasReadsThem() throws {
    defer { try? FileManager.default.removeItem(at: place) }
    var pass = RoundToNearest()
    pass.targets.bits = 8
    pass.targets.groupSize = 0
    pass.targets.activations = .int8
    let written = try run("llama", Recipe(passes: [pass], format: .keras), to: "out")
    #expect(try difference(written.graph, from: "llama") <= 0.6)
    let settings = try JSONValue(parsing: String(contentsOf: place.appendingPathComponent("out/config.json"), encoding: .utf8))
    let map = try #require(settings["config"]?["dtype"]?["config"]?["policy_map"]?.object)
    #expect(map.count == 14)
    #expect(map["transformer_layer_1/self_attention/attention_output"]?["config"]?["mode"]?.string == "int8")
    let file = try HDF5Checkpoint(opening: place.appendingPathComponent("out/model.weights.h5"))
    let query = "layers.llama_transformer_decoder_1._self_attention_layer._query_dense.vars"
    #expect(file.descriptor("\(query).0") == TensorDescriptor(name: "\(query).0", dataType: .int8, shape: [32, 4, 8]))
    #expect(file.descriptor("\(query).1") == TensorDescriptor(name: "\(query).1", dataType: .float32, shape: [1, 1, 4, 8]))
  }

  @Test func whatKerasCannotHoldIsRefused() throws {
    defer { try? FileManager.default.removeItem(at: place) }
    var pass = RoundToNearest()
    pass.targets.bits = 4
    #expect(throws: CheckpointError.self) { try run("llama", Recipe(passes: [pass], format: .keras), to: "out") }
    pass.targets.bits = 8
    pass.targets.groupSize = 0
    let error = #expect(throws: CheckpointError.self) { try run("llama", Recipe(passes: [pass], format: .keras), to: "out") }
    #expect(error?.kind == .usage && error?.remedy.contains("--activations int8") == true)
    #expect(!FileManager.default.fileExists(atPath: place.appendingPathComponent("out").path))
  }

  @Test func damagedFilesAreRefused() throws {
    defer { try? FileManager.default.removeItem(at: place) }
    let archive = try Data(contentsOf: Self.fixtures.appendingPathComponent("task.keras"))
    func open(_ data: Data, _ name: String = "a.keras") -> FailureKind? {
      let file = place.appendingPathComponent(name)
      do {
        try data.write(to: file)
        _ = try ModelBundle(opening: file.path)
        return nil
      } catch { return (error as? any Failure)?.kind }
    }
    #expect(open(archive) == nil)
    for length in [0, 21, 1000, archive.count / 2, archive.count - 1] { #expect(open(archive.prefix(length)) == .badData, "\(length)") }
    // A member that says it is compressed, and one that begins beyond the directory.
    let directory = try #require(archive.range(of: Data([0x50, 0x4B, 1, 2])))
    var damaged = archive
    damaged[directory.lowerBound + 10] = 8
    #expect(open(damaged) == .badData)
    damaged = archive
    damaged[directory.lowerBound + 44] = 0x7F
    #expect(open(damaged) == .badData)
    // Every byte of the directory, turned over: nothing but an error or the same model.
    for offset in directory.lowerBound..<archive.count {
      damaged = archive
      damaged[offset] ^= 0xFF
      let kind = open(damaged)
      #expect(kind == nil || kind == .badData || kind == .badConfiguration, "\(offset)")
    }
  }

  @Test func settingsThatDoNotFitAreRefused() throws {
    defer { try? FileManager.default.removeItem(at: place) }
    let text = try String(contentsOf: Self.fixtures.appendingPathComponent("llama/config.json"), encoding: .utf8)
    let weights = Self.fixtures.appendingPathComponent("llama/model.weights.h5")
    try FileManager.default.copyItem(at: weights, to: place.appendingPathComponent("model.weights.h5"))
    func open(_ text: String) throws {
      try Data(text.utf8).write(to: place.appendingPathComponent("config.json"))
      _ = try ModelBundle(opening: place.path)
    }
    try open(text)
    let changes = [
      ("\"hidden_dim\": 32", "\"hidden_dim\": 64"), ("\"num_layers\": 2", "\"num_layers\": 3"), ("\"num_layers\": 2", "\"num_layers\": -1"),
      ("LlamaBackbone", "GemmaBackbone"), ("\"num_query_heads\": 4", "\"num_query_heads\": null"),
    ]
    for (before, after) in changes {
      let error = #expect(throws: CheckpointError.self) { try open(text.replacingOccurrences(of: before, with: after)) }
      #expect(error?.kind == .badData || error?.kind == .badConfiguration, "\(after)")
    }
  }
}
