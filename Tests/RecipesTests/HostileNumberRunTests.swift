import DeepSeekOptimize
import Foundation
import Testing

/// Numbers at the edges through a whole run: what the report says of them.
@Suite struct HostileNumberRunTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private static let layer = "model.layers.0.mlp.up_proj"

  /// The demo in float32, with rows of one layer replaced.
  private func model(_ change: (_ row: Int, _ column: Int) -> Float?) throws -> ModelBundle {
    let place = URL(fileURLWithPath: directory.path("model"))
    try FileManager.default.copyItem(at: DemoModel.directory, to: place)
    let source = try SafeTensorsCheckpoint(place)
    var tensors: [(name: String, tensor: Tensor)] = []
    for descriptor in source.descriptors {
      var tensor = try #require(try source.tensor(descriptor.name).asFloat32())
      if descriptor.name == Self.layer + ".weight" {
        var values = try #require(tensor.float32Values())
        for index in values.indices { values[index] = change(index / tensor.shape[1], index % tensor.shape[1]) ?? values[index] }
        tensor = Tensor(values, shape: tensor.shape)
      }
      tensors.append((descriptor.name, tensor))
    }
    let target = URL(fileURLWithPath: directory.path("tensors"))
    try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
    try SafeTensorsFile.write(tensors, to: target.appendingPathComponent("model.safetensors"))
    try FileManager.default.removeItem(at: place.appendingPathComponent("model.safetensors"))
    try FileManager.default.moveItem(
      at: target.appendingPathComponent("model.safetensors"), to: place.appendingPathComponent("model.safetensors"))
    return try ModelBundle(opening: place.path)
  }

  private func report(of model: ModelBundle, _ pass: any CompressionPass, _ format: OutputFormat) throws -> CompressionReport {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path("out")))
    settings.evaluation = nil
    return try CompressionRun(model: model, recipe: Recipe(passes: [pass], format: format), settings: settings).execute()
  }

  /// GGUF has scales of float16: of a row of weights below 1e-9 it holds zeros alone. A row that was zeros before is not counted.
  @Test func groupsThatVanishAreCounted() throws {
    let model = try model { row, column in row == 0 ? 1e-12 * Float(column + 1) : row == 1 ? 0 : nil }
    var pass = RoundToNearest(bits: 8)
    pass.targets.type = .q8_0
    let report = try report(of: model, pass, .gguf)
    let layers = try #require(report.layers)
    let found = try #require(layers.first { $0.name == Self.layer })
    #expect(found.vanishedGroups == 128 / 32)
    #expect(layers.allSatisfy { $0.name == Self.layer || $0.vanishedGroups == nil })
    #expect(report.warnings.contains { $0.hasPrefix("4 groups of weights are too small") && $0.contains(Self.layer) })
    #expect(try CompressionReport(json: report.json).layers == report.layers)
    #expect(report.json["layers"]?.array?.contains { $0["vanishedGroups"]?.integer == 4 } == true)
  }

  /// Weights that no scale of float16 reaches are clamped, and counted as clipped. 32 of a row are its group.
  @Test func weightsBeyondTheScaleAreCounted() throws {
    let model = try model { row, column in row == 0 && column < 32 ? (column % 2 == 0 ? 2e7 : -2e7) : nil }
    var pass = RoundToNearest(bits: 8)
    pass.targets.type = .q8_0
    let layers = try #require(try report(of: model, pass, .gguf).layers)
    let weights = try #require(model.weights.describe(Self.layer + ".weight")?.shape.elementCount)
    let clipped = try #require(layers.first { $0.name == Self.layer }?.clippedFraction)
    #expect(clipped >= 32 / Double(weights))
    let written = try ModelBundle(opening: directory.path("out"))
    let values = try #require(try written.weights.load(Self.layer + ".weight").float32()?.float32Values())
    #expect(values.allSatisfy { $0.isFinite })
    #expect(values[0] == 65504 * 128 && values[1] == -65504 * 127)
  }

  /// A file's weight that is no number ends the run with its name; nothing is written.
  @Test(arguments: [Float.nan, .infinity]) func whatIsNoNumberIsRefusedByName(_ bad: Float) throws {
    let model = try model { row, column in row == 3 && column == 7 ? bad : nil }
    let error = #expect(throws: (any Error).self) { try report(of: model, RoundToNearest(bits: 4, groupSize: 32), .compressedTensors) }
    let failure = try #require(error as? any Failure)
    #expect(failure.kind == .badData && failure.description.contains(Self.layer) && failure.problem.contains("1 weights"))
    #expect(directory.contents.sorted() == ["model", "tensors"])
  }

  /// Group sizes that do not divide are refused before any weight is read, with those that would.
  @Test func groupsThatDoNotDivideAreRefused() throws {
    let model = try ModelBundle(opening: "demo")
    let error = #expect(throws: (any Error).self) { try report(of: model, RoundToNearest(bits: 4, groupSize: 48), .compressedTensors) }
    let failure = try #require(error as? any Failure)
    #expect(failure.kind == .usage && failure.problem.contains("which groups of 48 do not divide") && failure.remedy.contains("32"))
  }

  /// A scale for every single weight.
  @Test func groupsOfOneWeight() throws {
    let layers = try #require(
      try report(of: ModelBundle(opening: "demo"), RoundToNearest(bits: 4, groupSize: 1), .safetensors).layers)
    // Every weight is the largest of its group.
    #expect(layers.allSatisfy { ($0.weightSQNRdB ?? .infinity) > 45 && $0.clippedFraction == 0 && $0.vanishedGroups == nil })
  }
}
