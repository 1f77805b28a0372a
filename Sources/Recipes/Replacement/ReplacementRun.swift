import Architectures
import Calibration
import Compression
import Diagnostics
import Distribution
import Evaluation
import Execution
import Formats
import Foundation
import ModelGraph
import Reporting
import StructuredData

/// One modular replacement: put other modules around the weights, write the model, read it again, measure it against the source.
public struct ReplacementRun {
  public let model: ModelBundle
  public let replacement: ModuleReplacement
  /// The text that experts are compared on; nil to compare their rows of the router.
  public let calibration: CalibrationPlan?
  /// Where every random choice derives from.
  let seed: UInt64
  public let settings: RunSettings
  let progress: ProgressHandler?
  let interpreter: Interpreter

  public init(
    model: ModelBundle, replacement: ModuleReplacement, calibration: CalibrationPlan? = nil, seed: UInt64 = 0, settings: RunSettings,
    progress: ProgressHandler? = nil
  ) {
    (self.model, self.replacement, self.settings, self.progress) = (model, replacement, settings, progress)
    // A recipe's text may be there for its other passes.
    (self.calibration, self.seed) = (replacement.usesText ? calibration : nil, seed)
    interpreter = settings.makeInterpreter()
  }

  /// What a run would leave, found without reading a weight.
  public struct Plan: Sendable {
    /// Kinds of modules that change, before and after.
    public let modules: [CompressionReport.Replacement.Module]
    public let parameters: Int
    public let keptParameters: Int
    /// What to know of other programs that load it.
    public let caveats: [String]
    /// The model in its shape; the values of merged experts are none that are kept.
    let graph: ModelGraph
  }

  public func plan() throws -> Plan {
    let plan = try plan(of: model.graph)
    if let calibration { _ = try CalibrationText(contentsOf: calibration.file) }
    _ = try evaluationPlan()
    try OutputDirectory.check(settings.output, overwrite: settings.overwrite, inputs: inputs, group: interpreter.group)
    return plan
  }

  private func plan(of graph: ModelGraph) throws -> Plan {
    try replacement.validate(for: graph)
    var changed = try replacement.mergingExperts(
      replacement.replacingOperations(graph), traits: nil, pool: interpreter.pool
    ).graph
    try replacement.replaceNorms(of: &changed)
    if replacement.normalization == .dynamicTanh, calibration == nil {
      throw RecipeError(
        "replace: normalization", "dynamic-tanh is fitted to what norms read, which takes text", remedy: "give --calibration FILE",
        kind: .usage)
    }
    if let calibration { _ = try calibration.resolved(for: graph) }
    return Plan(
      modules: Self.modules(from: graph, to: changed), parameters: graph.parameterCount, keptParameters: changed.parameterCount,
      caveats: try ArchitectureCatalog.configuration(model.configuration, of: graph, replacedAs: changed).caveats, graph: changed)
  }

  /// Kinds of modules that differ.
  static func modules(from source: ModelGraph, to graph: ModelGraph) -> [CompressionReport.Replacement.Module] {
    let before = Dictionary(source.modules.map { ($0.kind, $0.text) }, uniquingKeysWith: { first, _ in first })
    return graph.modules.filter { before[$0.kind] != $0.text }.map {
      .init(kind: $0.kind, before: before[$0.kind] ?? "none", after: $0.text)
    }
  }

  /// Replaces and writes the result.
  /// - Returns: the report that was written, too.
  /// - Throws: a `Failure`; then there is no new output.
  public func execute() throws -> CompressionReport {
    let start = ContinuousClock.now
    let plan = try plan()
    let evaluation = try evaluationPlan()
    let output = try OutputDirectory(
      settings.output, overwrite: settings.overwrite, resume: false, inputs: inputs, group: interpreter.group)
    var work = try ReplacementWork(self, spillingTo: output.partial)
    let written = try work.write(to: output)
    var report = try CompressionReport(
      of: written, from: model, by: recipe, settings, evaluation, work.selection, interpreter: interpreter, progress: progress)
    report.replacement = .init(modules: plan.modules)
    report.warnings += work.warnings
    report.resources = ResourceMeter.resources(
      since: start, clock: ContinuousClock(), bytesRead: model.sourceBytes, bytesWritten: report.size?.outputBytes,
      threads: interpreter.pool.threads)
    try output.write(recipe.header() + recipe.yaml(), to: "recipe.yaml")
    try output.write(&report, card: recipe.card(of: written, from: settings.reference ?? model))
    try output.commit()
    return report
  }

  private func evaluationPlan() throws -> EvaluationPlan? {
    if settings.gates.maximumPerplexityIncrease != nil || settings.gates.maximumKLDivergence != nil {
      try model.requirePredictions(for: "a gate on them")
    }
    return try settings.evaluation.map { try EvaluationPlan($0, model: model) }
  }

  private var inputs: [URL] {
    [model.directory] + model.checkpoint.files + (calibration.map { [$0.file] } ?? []) + (settings.evaluation.map { [$0.text] } ?? [])
  }

  private var recipe: Recipe { Recipe(passes: [replacement], seed: seed, calibration: calibration) }
}

extension ReplacementRun: RecipeStage {
  func check(on graph: ModelGraph) throws -> ModelGraph { try plan(of: graph).graph }
}

extension ModuleReplacement: StagePass {
  func stage(of recipe: Recipe, on model: ModelBundle, settings: RunSettings, progress: ProgressHandler?) -> any RecipeStage {
    ReplacementRun(
      model: model, replacement: self, calibration: recipe.calibration, seed: recipe.seed, settings: settings, progress: progress)
  }
}
