import DeepSeekOptimize
import Foundation
import Testing

@testable import Recipes

@Suite struct PassOrderTests {
  private func error(_ names: [String], quantized: Bool = false) throws -> RecipeError? {
    let types = try names.map { name in try #require(PassCatalog.passes.first { $0.identifier == name }) }
    return PassOrder(types, given: quantized ? [.quantizedWeights] : []).error
  }

  @Test(arguments: [
    ["round-to-nearest"], ["smooth", "gptq"], ["rotate", "smooth", "gptq"], ["merge", "prune", "distill", "gptq"],
    ["smooth", "round-to-nearest", "activation-outliers", "static-activations"], ["sparsify", "gptq"], ["replace", "distill"],
    ["gptq", "distill"],
    [],
  ])
  func theseWork(_ names: [String]) throws {
    #expect(try error(names) == nil)
  }

  @Test(arguments: [
    (["gptq", "smooth"], "smooth, gptq"), (["smooth", "rotate", "gptq"], "rotate, smooth, gptq"), (["gptq", "merge"], "merge, gptq"),
    (["static-activations", "round-to-nearest"], "round-to-nearest, static-activations"),
    (["gptq", "static-activations", "smooth", "merge"], "merge, smooth, gptq, static-activations"),
    (["round-to-nearest", "prune", "distill"], "prune, round-to-nearest, distill"),
    (["sparsify", "distill", "gptq"], "distill, sparsify, gptq"),
  ])
  func theOrderThatWorksIsSaid(_ names: [String], _ order: String) throws {
    let found = try #require(try error(names))
    #expect(found.remedy == "the order that works is \(order)" && found.kind == .badConfiguration)
    #expect(try error(order.split(separator: ", ").map(String.init)) == nil)
  }

  @Test(arguments: [
    (["gptq", "awq"], "gptq and awq exclude each other"), (["smooth", "gptq", "gptq"], "gptq cannot stand twice"),
    (["smooth", "qat"], "smooth and qat exclude each other"), (["static-activations"], "before it"),
  ])
  func whereNoneDoesThePassesAreNamed(_ names: [String], _ words: String) throws {
    let found = try #require(try error(names))
    #expect(found.remedy.contains(words), "\(found)")
  }

  @Test func whatTheCheckpointHasCounts() throws {
    let found = try #require(try error(["smooth", "gptq"], quantized: true))
    #expect(found.description.contains("smooth: cannot work on a model that has quantized weights already"))
    #expect(try error(["static-activations"], quantized: true) == nil)
    #expect(try error(["distill"], quantized: true) == nil)
  }

  /// Of every three passes: an order is offered exactly where trying all of them finds one, and it works.
  @Test func theSearchFindsWhatThereIs() {
    let types = PassCatalog.passes
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
    for first in types {
      for second in types {
        for third in types {
          let three = [first, second, third]
          let works = orders.first { order in PassOrder(order.map { three[$0] }, given: []).error == nil }
          #expect(PassOrder(three, given: []).working([0, 1, 2]) == works)
        }
      }
    }
  }

  /// A long list costs neither time nor memory.
  @Test(.timeLimit(.minutes(1))) func longListsAreRefusedAtOnce() throws {
    let found = try #require(try error(Array(repeating: "gptq", count: 3000)))
    #expect(found.remedy.contains("gptq cannot stand twice"))
    #expect(try error(Array(repeating: "smooth", count: 3000)) == nil)
    #expect(try error(Array(repeating: "smooth", count: 300) + ["rotate"])?.remedy.contains("smooth and rotate") == false)
  }

  /// Contracts come before anything is read: not even the text is looked for.
  @Test func theOrderIsCheckedFirst() throws {
    let output = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    let recipe = Recipe(passes: [GPTQ(bits: 4), SmoothQuant()], calibration: CalibrationPlan(text: "/nowhere/text.txt"))
    let run = RecipeRun(model: try ModelBundle(opening: "demo"), recipe: recipe, settings: RunSettings(output: output))
    let error = #expect(throws: RecipeError.self) { try run.execute() }
    #expect(error?.remedy == "the order that works is smooth, gptq")
  }
}
