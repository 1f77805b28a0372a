import Execution
import Foundation
import ModelGraph
import Recipes
import Tensors
import Testing

/// Our forward pass against transformers in float32. The tolerance is the 1e-3; what is reached is near 1e-5.
@Suite struct GoldenLogitsTests {
  @Test func everyFixtureIsFound() {
    #expect(GoldenModel.names.count >= 14)
  }

  @Test(arguments: GoldenModel.names)
  func logitsAgreeWithTransformers(_ name: String) throws {
    let difference = try GoldenModel(name).largestDifference(threads: 2)
    #expect(difference <= 1e-4, "\(name): \(difference)")
  }

  /// The same models described by the spelling of transformers 4.
  @Test(arguments: GoldenModel.legacyNames)
  func olderConfigurationsMeanTheSame(_ name: String) throws {
    let difference = try GoldenModel(name, configuration: "config.legacy.json").largestDifference(threads: 1)
    #expect(difference <= 1e-4, "\(name): \(difference)")
  }

  @Test func demoModelAgreesWithTransformers() throws {
    let model = try GoldenModel(model: DemoModel.directory, golden: GoldenModel.fixtures.appendingPathComponent("demo.safetensors"))
    #expect(try model.largestDifference(threads: 2) <= 1e-3)
  }

  /// Runs where the shared models are at hand: DEEPSEEK_OPTIMIZE_MODELS names their directory.
  @Test(.enabled(if: SharedModels.directory != nil))
  func wikiLlamaAgreesWithTransformers() throws {
    let directory = try #require(SharedModels.directory)
    let model = try GoldenModel(
      model: directory.appendingPathComponent("wiki-llama"),
      golden: GoldenModel.fixtures.appendingPathComponent("wiki-llama.safetensors"))
    #expect(try model.largestDifference(threads: 2) <= 1e-3)
  }

  @Test func threadsDoNotChangeABit() throws {
    let model = try GoldenModel("llama-gqa")
    let windows = try model.integers("input_ids")
    let one = try GoldenModel.logits(model.graph, windows: windows, interpreter: Interpreter(pool: ThreadPool(threads: 1)))
    for threads in [2, 3, 5] {
      let many = try GoldenModel.logits(model.graph, windows: windows, interpreter: Interpreter(pool: ThreadPool(threads: threads)))
      #expect((0..<one.rows * one.columns).allSatisfy { one.pointer[$0].bitPattern == many.pointer[$0].bitPattern })
    }
  }
}

enum SharedModels {
  static let directory = ProcessInfo.processInfo.environment["DEEPSEEK_OPTIMIZE_MODELS"].map { URL(fileURLWithPath: $0) }
}
