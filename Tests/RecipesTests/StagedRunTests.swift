import DeepSeekOptimize
import Foundation
import Testing

@testable import Recipes

/// Recipes of several stages: each from the checkpoint that the one before it left.
@Suite struct StagedRunTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private static let calibration = CalibrationPlan(text: "demo", samples: 32, sequenceLength: 64)

  private func recipe() -> Recipe {
    var distillation = Distillation()
    (distillation.featureSteps, distillation.logitSteps, distillation.policySteps, distillation.robustnessSteps) = (0, 24, 0, 0)
    (distillation.batchWindows, distillation.sequenceLength, distillation.learningRate) = (8, 64, 2e-4)
    return Recipe(calibration: Self.calibration) {
      StructuredPruning(mlp: 0.3, multiple: 1)
      distillation
      RoundToNearest(bits: 8, groupSize: 0)
    }
  }

  private func run(_ recipe: Recipe, to name: String, resume: Bool = false, overwrite: Bool = false) throws -> CompressionReport {
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path(name)))
    settings.evaluation = EvaluationSettings(context: 64, tokens: 4096)
    (settings.threads, settings.resume, settings.overwrite) = (2, resume, overwrite)
    return try RecipeRun(model: ModelBundle(opening: "demo"), recipe: recipe, settings: settings).execute()
  }

  private func bytes(_ name: String) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: directory.path(name + "/model.safetensors")))
  }

  @Test func everyStageHasARow() throws {
    let report = try run(recipe(), to: "out")
    let rows = try #require(report.passes)
    #expect(rows.map(\.name) == ["source", "prune", "distill", "round-to-nearest"])
    let (source, pruned, distilled, quantized) = (rows[0], rows[1], rows[2], rows[3])
    #expect((pruned.parameters ?? 0) < (source.parameters ?? 0) && distilled.parameters == pruned.parameters)
    #expect((quantized.bytes ?? 0) < (distilled.bytes ?? 0) && (pruned.bytes ?? 0) < (source.bytes ?? 0))
    #expect((distilled.klDivergence ?? 1) < (pruned.klDivergence ?? 0))
    // The whole is held against what the recipe began on.
    #expect(report.model.name == "demo" && report.accuracy?.reference?.perplexity == source.perplexity)
    #expect(report.accuracy?.klDivergence?.mean == quantized.klDivergence && report.recipe.count == 3)
    #expect(report.pruning != nil && report.distillation != nil && report.layers?.count == 28)
    #expect(report.size?.sourceBytes == source.bytes)
    #expect(try CompressionReport(json: report.json) == report)
    let names = try FileManager.default.contentsOfDirectory(atPath: directory.path("out")).sorted()
    #expect(
      names == [
        "README.md", "config.json", "generation_config.json", "model.safetensors", "recipe.yaml", "report.html", "report.json",
        "tokenizer.json", "tokenizer_config.json",
      ])
    #expect(directory.contents == ["out"])
    let verification = try OutputVerification(of: directory.path("out"))
    #expect(verification.isIntact && verification.files.count == names.count, "\(verification.summary)")
    // What was written says how to do it again.
    let again = try Recipe(yaml: String(contentsOfFile: directory.path("out/recipe.yaml"), encoding: .utf8))
    _ = try run(again, to: "again")
    #expect(try bytes("out") == bytes("again"))
  }

  /// As one recipe and as one run after the other, the bytes are the same.
  @Test func stagesAreWhatRunsOfTheirOwnAre() throws {
    _ = try run(recipe(), to: "whole")
    let whole = recipe()
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path("one")))
    settings.evaluation = nil
    _ = try PruningRun(
      model: ModelBundle(opening: "demo"), pruning: try #require(whole.passes[0] as? StructuredPruning), calibration: whole.calibration,
      settings: settings
    ).execute()
    settings.output = URL(fileURLWithPath: directory.path("two"))
    settings.reference = try ModelBundle(opening: "demo")
    _ = try DistillationRun(
      student: ModelBundle(opening: directory.path("one")), distillation: try #require(whole.passes[1] as? Distillation),
      calibration: whole.calibration, settings: settings
    ).execute()
    settings.output = URL(fileURLWithPath: directory.path("three"))
    _ = try CompressionRun(
      model: ModelBundle(opening: directory.path("two")), recipe: Recipe(passes: [whole.passes[2]]), settings: settings
    ).execute()
    #expect(try bytes("whole") == bytes("three"))
  }

  /// A run that failed behind its first stage goes on from what that left.
  @Test func finishedStagesAreNotRunAgain() throws {
    _ = try run(recipe(), to: "whole")
    let journal = directory.path(".out.partial/stages.json")
    var broken = recipe()
    broken.passes.append(StoppingPass())
    #expect(throws: StoppedFailure.self) { try run(broken, to: "out") }
    let document = try JSONValue(parsing: String(contentsOfFile: journal, encoding: .utf8))
    #expect(document["finished"]?.integer == 2)
    let first = try FileManager.default.attributesOfItem(atPath: directory.path(".out.partial/stage-2/model.safetensors"))
    #expect(throws: StoppedFailure.self) { try run(broken, to: "out", resume: true) }
    let second = try FileManager.default.attributesOfItem(atPath: directory.path(".out.partial/stage-2/model.safetensors"))
    #expect(first[.modificationDate] as? Date == second[.modificationDate] as? Date)
    #expect(!FileManager.default.fileExists(atPath: directory.path(".out.partial/stage-1/model.safetensors")))
    // Another recipe does not take it up.
    _ = try run(recipe(), to: "out", resume: true)
    #expect(try bytes("whole") == bytes("out") && !FileManager.default.fileExists(atPath: journal))
  }

  @Test func whatALaterStageCannotDoIsRefusedBeforeAnyWork() throws {
    func refuses(_ passes: [any RecipePass], calibration: CalibrationPlan? = Self.calibration) {
      #expect(throws: (any Error).self) { try run(Recipe(passes: passes, calibration: calibration), to: "out") }
      #expect(directory.contents.isEmpty, "\(passes.map { type(of: $0).identifier })")
    }
    refuses([StructuredPruning(mlp: 0.3), RoundToNearest(bits: 4, groupSize: 7)])
    refuses([RoundToNearest(bits: 8, groupSize: 0), StructuredPruning(mlp: 0.3)])
    refuses([StructuredPruning(mlp: 0.3), GPTQ(bits: 4, groupSize: 64)], calibration: nil)
    refuses([StructuredPruning(mlp: 0.3), Distillation(teacher: "absent-model")])
    refuses([StructuredPruning(mlp: 0.3), Distillation()], calibration: nil)
    var other = Recipe(passes: [StructuredPruning(mlp: 0.3)])
    other.format = .hdf5
    #expect(throws: RecipeError.self) { try run(other, to: "out") }
    #expect(throws: RecipeError.self) { try run(Recipe(passes: [StructuredPruning(mlp: 0.3)]), to: "out", resume: true) }
    refuses([StructuredPruning(mlp: 0.3), Distillation()], calibration: CalibrationPlan(text: "absent.txt"))
    // A run of quantizing passes alone knows no stages.
    var settings = RunSettings(output: URL(fileURLWithPath: directory.path("out")))
    settings.evaluation = nil
    #expect(throws: RecipeError.self) {
      try CompressionRun(model: ModelBundle(opening: "demo"), recipe: Recipe(passes: [StructuredPruning(mlp: 0.3)]), settings: settings)
        .execute()
    }
  }
}

/// Stops every run that comes to it.
private struct StoppingPass: CompressionPass {
  static let identifier = "stopping"
  static let contract = PassContract()

  func validate(for graph: ModelGraph) {}
  func begin(on graph: ModelGraph, in context: PassContext) -> any BlockPass { Work() }

  private struct Work: BlockPass {
    let plan: [ParameterID: WeightStorage] = [:]
    var record = PassRecord(pass: "stopping")
    mutating func apply(to block: Block, of graph: inout ModelGraph, in context: PassContext) throws { throw StoppedFailure() }
  }
}
