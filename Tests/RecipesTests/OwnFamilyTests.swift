import DeepSeekOptimize
import Foundation
import Testing

@testable import Recipes

/// The demo model's graph under a name that the package does not know.
private struct Renamed: Architecture {
  static let modelTypes = ["renamed"]

  init(configuration reader: inout ConfigurationReader) throws(ConfigurationError) { _ = reader.value("depth") }

  func graph(over weights: any WeightSource) throws(GraphError) -> ModelGraph {
    do {
      let demo = try JSONFile.read(DemoModel.directory.appendingPathComponent("config.json"))
      return try ArchitectureCatalog.graph(configuration: demo, weights: weights).graph
    } catch { throw GraphError(tensor: "config.json", "\(error)") }
  }
}

/// Families that a program brings along.
@Suite struct OwnFamilyTests {
  private let directory: TemporaryDirectory
  private let model: String

  init() throws {
    directory = try TemporaryDirectory()
    model = directory.path("model")
    try FileManager.default.copyItem(atPath: DemoModel.directory.path, toPath: model)
    try configure(#"{"model_type": "renamed", "depth": 4}"#)
  }

  private func configure(_ json: String) throws {
    try json.write(toFile: model + "/config.json", atomically: true, encoding: .utf8)
  }

  @Test func whatIsWrittenIsReadWithThem() async throws {
    let report = try await Quantizer.load(model, families: [Renamed.self]).quantize(method: .int8).evaluate(on: nil)
      .save(to: directory.path("out"))
    let demo = try await Quantizer.load("demo").quantize(method: .int8).evaluate(on: nil).save(to: directory.path("demo"))
    #expect(report.outputs == demo.outputs)
    #expect(try ModelBundle(opening: directory.path("out"), families: [Renamed.self]).unreadKeys.isEmpty)
  }

  @Test func everyStageOfARecipeKnowsThem() throws {
    var teaching = Distillation()
    (teaching.featureSteps, teaching.logitSteps, teaching.policySteps, teaching.robustnessSteps) = (0, 1, 0, 0)
    (teaching.batchWindows, teaching.sequenceLength) = (1, 16)
    let recipe = Recipe(calibration: CalibrationPlan(text: "demo", samples: 4, sequenceLength: 16)) {
      teaching
      RoundToNearest(bits: 8)
    }
    var settings = RunSettings(output: directory.url.appendingPathComponent("out"))
    settings.evaluation = nil
    let report = try RecipeRun(model: ModelBundle(opening: model, families: [Renamed.self]), recipe: recipe, settings: settings).execute()
    #expect(report.passes?.count == 3)
  }

  @Test func withoutThemTheModelIsRefusedByName() {
    let error = #expect(throws: ConfigurationError.self) { try ModelBundle(opening: model) }
    #expect(error?.subject == "config.json: model_type")
  }

  /// Read without them it would be another model.
  @Test func replacedModulesThatAFamilyDoesNotReadAreRefused() throws {
    try configure(#"{"model_type": "renamed", "depth": 4, "deepseek_optimize": {"normalization": "layer-norm"}}"#)
    let error = #expect(throws: ConfigurationError.self) { try ModelBundle(opening: model, families: [Renamed.self]) }
    #expect(error?.subject == "config.json: deepseek_optimize")
  }

  @Test func theFrontDoorCalibratesAndChoosesBits() async throws {
    let quantizer = try await Quantizer.load("demo").apply(RoundToNearest(bits: 4, groupSize: 64)).evaluate(on: nil)
      .calibrate(on: "demo", samples: 12, sequenceLength: 64)
    let report = try await quantizer.chooseBits(for: .bitsPerWeight(4.5)).save(to: directory.path("out"))
    let bits = try #require(report.allocation?.bitsPerWeight)
    #expect(bits <= 4.5 && bits > 4)
  }
}
