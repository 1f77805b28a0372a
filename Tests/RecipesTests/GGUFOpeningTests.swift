import DeepSeekOptimize
import Foundation
import Testing

@testable import Recipes

/// GGUF files through the whole opening of a model: hostile ones, those that hold their header alone, and what lies beside them.
@Suite struct GGUFOpeningTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func settings(_ name: String) -> RunSettings {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path(name)))
    settings.evaluation = nil
    settings.threads = 2
    return settings
  }

  /// Converts the model in the directory `model` to one file, of a directory of its own.
  /// - Parameter type: of its weights; nil to keep them as they are.
  private func converted(_ type: WeightType?) throws -> GGUFCheckpoint {
    let passes = type.map { type in
      var pass = RoundToNearest(bits: 8)
      pass.targets.type = type
      return [pass]
    }
    let model = try ModelBundle(opening: directory.path("model"))
    _ = try CompressionRun(model: model, recipe: Recipe(passes: passes ?? [], format: .gguf), settings: settings("converted")).execute()
    return try GGUFCheckpoint(URL(fileURLWithPath: directory.path("converted/model.gguf")))
  }

  /// The same file without its tokenizer, which makes most of the header, and where its data begins.
  private func stripped(_ file: GGUFCheckpoint) throws -> (file: URL, header: Int) {
    var metadata = GGUFMetadata()
    for entry in file.gguf.entries where !entry.key.hasPrefix("tokenizer.") { metadata[entry.key] = entry.value }
    let location = URL(fileURLWithPath: directory.path("stripped.gguf"))
    let writer = try GGUFWriter(
      creating: location, metadata: metadata,
      tensors: file.tensors.map { GGUFAnnouncement(name: $0.name, type: $0.type, dimensions: $0.dimensions) })
    for tensor in file.tensors { try writer.write(tensor.name, file.tensor(tensor.name)) }
    try writer.finish()
    return (location, try #require(GGUFCheckpoint(location).tensors.first).range.lowerBound)
  }

  /// A model with divisors of frequencies.
  private func writeScaledLlama(to model: URL) throws {
    try RandomLlama.write(to: model)
    let file = model.appendingPathComponent("config.json")
    var configuration = try #require(try JSONFile.read(file).object)
    configuration["rope_scaling"] = [
      "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
    ]
    try Data(JSONValue.object(configuration).text().utf8).write(to: file)
  }

  private func isRefusal(_ error: any Error) -> Bool {
    guard let failure = error as? any Failure else { return false }
    return failure.kind == .badData && !failure.description.isEmpty
  }

  /// Each byte of a header changed, the model is opened and read, or refused by name: nothing else happens.
  @Test(arguments: ["llama", "mixture"]) func noByteOfAHeaderCrashes(_ name: String) throws {
    let model = URL(fileURLWithPath: directory.path("model"))
    if name == "llama" { try writeScaledLlama(to: model) } else { try MixtureModel.write(to: model) }
    let (file, header) = try stripped(converted(name == "llama" ? .q4_K : .q4_0))
    let whole = try Data(contentsOf: file)
    let handle = try FileHandle(forUpdating: file)
    let parameters = ["model.norm.weight", "model.layers.0.self_attn.\(name == "llama" ? "k_proj" : "kv_b_proj").weight"]
    var refused = 0
    for position in 0..<header {
      let sound = whole[position]
      for value in [position % 2 == 0 ? UInt8(0) : 0x7F, position % 4 < 2 ? 0x80 : 0xFF] where value != sound {
        try handle.seek(toOffset: UInt64(position))
        try handle.write(contentsOf: [value])
        do {
          let bundle = try ModelBundle(opening: file.path)
          for parameter in parameters where bundle.weights.describe(parameter) != nil { _ = try bundle.weights.load(parameter) }
        } catch {
          refused += 1
          #expect(isRefusal(error), "byte \(position) set to \(value): \(error)")
        }
      }
      try handle.seek(toOffset: UInt64(position))
      try handle.write(contentsOf: [sound])
    }
    #expect(refused > header / 4)
    #expect(throws: Never.self) { try ModelBundle(opening: file.path) }
  }

  /// A scale that is no number is refused as the weight is read, whatever type of blocks it scales.
  @Test(
    arguments: [
      (WeightType.q4_0, 0, [0x00, 0x7C]), (.q4_1, 2, [0x01, 0xFE]), (.q4_K, 0, [0xFF, 0x7F]), (.q4_K, 2, [0x00, 0xFC]),
      (.q6_K, 208, [0x01, 0x7C]),
      (.mxfp4, 0, [0xFF]),
    ] as [(WeightType, Int, [UInt8])])
  func scalesThatAreNoNumbersAreRefused(_ type: WeightType, _ offset: Int, _ bytes: [UInt8]) throws {
    try RandomLlama.write(to: URL(fileURLWithPath: directory.path("model")))
    let sound = try converted(type)
    let entry = try #require(sound.entry("blk.0.ffn_up.weight"))
    let file = sound.files[0]
    let handle = try FileHandle(forUpdating: file)
    // The first scale of the second row.
    try handle.seek(toOffset: UInt64(entry.range.lowerBound + entry.rowByteCount + offset))
    try handle.write(contentsOf: bytes)
    try handle.close()
    let weights = try ModelBundle(opening: file.path).weights
    #expect(throws: Never.self) { try weights.load("model.layers.0.mlp.gate_proj.weight") }
    let error = #expect(throws: CheckpointError.self) { try weights.load("model.layers.0.mlp.up_proj.weight") }
    #expect(error?.kind == .badData && error?.description.contains("blk.0.ffn_up.weight") == true)
    #expect(error?.problem.contains("are no numbers") == true)
  }

  /// Divisors of frequencies are values, which headers lack: a plan needs none.
  @Test func headersOfAScaledModelAreEnoughToPlan() throws {
    try writeScaledLlama(to: URL(fileURLWithPath: directory.path("model")))
    let (whole, header) = try stripped(converted(nil))
    #expect(try GGUFCheckpoint(whole).entry("rope_freqs.weight") != nil)
    let headers = directory.path("headers.gguf")
    try Data(contentsOf: whole).prefix(header).write(to: URL(fileURLWithPath: headers))
    #expect(throws: CheckpointError.self) { try ModelBundle(opening: headers) }
    func plan(_ path: String, _ extent: CheckpointExtent) throws -> CompressionRun.Plan {
      let pass = RoundToNearest(bits: 4, groupSize: 32)
      return try CompressionRun(
        model: ModelBundle(opening: path, extent: extent), recipe: Recipe(passes: [pass], format: .gguf), settings: settings("out")
      ).plan()
    }
    let (planned, expected) = (try plan(headers, .headers), try plan(whole.path, .complete))
    #expect(!planned.canRun && planned.layers.map(\.name) == expected.layers.map(\.name))
    #expect(planned.outputBytes == expected.outputBytes)
  }

  /// Files beside a GGUF file go along with its own tokenizer; a tokenizer beside it counts before its own.
  @Test func filesBesideAFileGoAlong() throws {
    let model = URL(fileURLWithPath: directory.path("model"))
    try RandomLlama.write(to: model)
    let alone = URL(fileURLWithPath: directory.path("alone"))
    try FileManager.default.createDirectory(at: alone, withIntermediateDirectories: true)
    try FileManager.default.moveItem(at: converted(.q8_0).files[0], to: alone.appendingPathComponent("model.gguf"))
    try Data("{\"temperature\": 0.5}".utf8).write(to: alone.appendingPathComponent("generation_config.json"))
    let bundle = try ModelBundle(opening: alone.path)
    let companions = try bundle.companions()
    #expect(Set(companions.map(\.name)) == ["tokenizer.json", "tokenizer_config.json", "generation_config.json"])
    _ = try CompressionRun(model: bundle, recipe: Recipe(passes: [], format: .safetensors), settings: settings("out")).execute()
    let text = "In 1997, the town had 12,345 inhabitants."
    let tokens = try ModelBundle(opening: directory.path("out")).tokenizer().encode(text)
    #expect(try tokens == ModelBundle(opening: model.path).tokenizer().encode(text))
    let own = try Data(contentsOf: model.appendingPathComponent("tokenizer.json"))
    try own.write(to: alone.appendingPathComponent("tokenizer.json"))
    let beside = try ModelBundle(opening: alone.path).companions()
    #expect(Set(beside.map(\.name)) == ["tokenizer.json", "generation_config.json"])
    #expect(beside.first { $0.name == "tokenizer.json" }?.content == own)
  }
}
