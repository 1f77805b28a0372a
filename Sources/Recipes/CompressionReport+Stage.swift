import Calibration
import Diagnostics
import Distribution
import Evaluation
import Execution
import Formats
import Foundation
import ModelGraph
import Reporting

extension CompressionReport {
  /// What a stage that writes a model of other modules or sizes says of it: where it came from, its size, how it predicts beside its source.
  /// - Parameters:
  ///   - written: the model as it was read again.
  ///   - recipe: the recipe of the stage alone.
  ///   - selection: the text that it looked at.
  init(
    of written: ModelBundle, from model: ModelBundle, by recipe: Recipe, _ settings: RunSettings, _ evaluation: EvaluationPlan?,
    _ selection: CalibrationSelection?, interpreter: Interpreter, progress: ProgressHandler?
  ) throws {
    self.init(
      tool: .init(name: Recipes.Tool.name, version: Recipes.Tool.version),
      model: .init(name: model.name, family: model.graph.family, parameters: model.graph.parameterCount))
    self.recipe = recipe.listing
    let known = try interpreter.group.digests(of: model.weightFiles + written.checkpoint.files)
    inputs = .init(
      modelSHA256: try model.contentDigest(known: known, progress: progress), calibrationSHA256: selection?.digest,
      evalSHA256: evaluation?.digest)
    calibration = selection.map { .init($0, trials: []) }
    warnings = selection?.warnings ?? []
    let reference = settings.reference ?? model
    size = .init(of: written, from: reference)
    outputs = try CompressionReport.OutputFile.files(of: written, known: known)
    switch evaluation {
    case nil: break
    case .embeddings(let plan):
      embeddings = try plan.section(of: written.graph, reference: reference.graph, interpreter: interpreter, progress: progress)
    case .predictions(let plan):
      let evaluator = plan.evaluator(interpreter, within: settings.maximumMemory, progress: progress)
      accuracy = .init(
        try evaluator.accuracy(of: written.graph, reference: reference.graph, on: plan.text), computedIn: plan.arithmetic)
      keyValueCache = try .init(of: written.graph, plan, evaluator: evaluator)
    }
    gates = settings.gates.results(accuracy)
  }
}
