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
import Tensors

/// One pruning: find what matters least, leave it out, write the smaller model, read it again, measure it against the source.
public struct PruningRun {
  public let model: ModelBundle
  /// With shares in place of a number of parameters that are left.
  public let pruning: StructuredPruning
  /// The text that the layers behind what is removed are repaired on; nil to leave them as they are.
  public let calibration: CalibrationPlan?
  /// Where every random choice derives from.
  let seed: UInt64
  public let settings: RunSettings
  /// Whether every kind is tried alone before, for the report.
  public var scans = false
  let progress: ProgressHandler?
  private let interpreter: Interpreter

  public init(
    model: ModelBundle, pruning: StructuredPruning, calibration: CalibrationPlan? = nil, seed: UInt64 = 0, settings: RunSettings,
    progress: ProgressHandler? = nil
  ) {
    // What the model cannot do is refused when the run is planned.
    self.pruning = (try? pruning.validate(for: model.graph)).flatMap { try? pruning.resolved(for: model.graph) } ?? pruning
    (self.model, self.settings, self.progress) = (model, settings, progress)
    (self.calibration, self.seed) = (calibration, seed)
    interpreter = settings.makeInterpreter()
  }

  /// What a run would leave, found without reading a weight.
  public struct Plan: Sendable {
    public struct Dimension: Sendable, Hashable {
      /// `mlp`, `heads`, `latent`, `hidden` or `experts`.
      public let kind: String
      public let units: Int
      public let kept: Int
      /// How many dimensions of the model are so.
      public var count: Int
    }
    public let dimensions: [Dimension]
    public let parameters: Int
    public let keptParameters: Int
    /// The model in its sizes; its values are none that are kept.
    let graph: ModelGraph
  }

  public func plan() throws -> Plan {
    let plan = try plan(of: model.graph)
    _ = try settings.evaluation.map { try MeasurementPlan($0, model: model) }
    try OutputDirectory.check(settings.output, overwrite: settings.overwrite, inputs: inputs, group: interpreter.group)
    return plan
  }

  private func plan(of graph: ModelGraph) throws -> Plan {
    try self.pruning.validate(for: graph)
    let pruning = try self.pruning.resolved(for: graph)
    let sizes = try pruning.sizes(of: graph)
    let routers = graph.routers.filter { pruning.keptExperts(of: $0.routing) < $0.routing.experts }
    guard !sizes.isEmpty || !routers.isEmpty || pruning.layers > 0 else {
      throw RecipeError(
        "prune", "would remove nothing: the share is less than half a step of --multiple", remedy: "use a smaller --multiple", kind: .usage)
    }
    var dimensions: [Plan.Dimension] = []
    let routed = routers.map { ("experts", $0.routing.experts, pruning.keptExperts(of: $0.routing)) }
    for (kind, units, kept) in routed + sizes.map({ ($0.dimension.kind.rawValue, $0.dimension.units, $0.kept) }) {
      if let index = dimensions.firstIndex(where: { $0.kind == kind && $0.units == units && $0.kept == kept }) {
        dimensions[index].count += 1
      } else {
        dimensions.append(.init(kind: kind, units: units, kept: kept, count: 1))
      }
    }
    // Which layers go is not known yet; those of a kind are alike in their sizes.
    let smaller = try pruning.resized(graph)
    _ = try ArchitectureCatalog.configuration(model.configuration, resizedTo: smaller)
    if pruning.needsText, calibration == nil {
      throw RecipeError(
        "prune", "looks at activations for \(pruning.layers > 0 ? "--layers" : "--importance"), which takes text",
        remedy: "give --calibration FILE",
        kind: .usage)
    }
    if let calibration { _ = try calibration.resolved(for: graph) }
    return Plan(dimensions: dimensions, parameters: graph.parameterCount, keptParameters: smaller.parameterCount, graph: smaller)
  }

  /// Prunes and writes the result.
  /// - Returns: the report that was written, too.
  /// - Throws: a `Failure`; then there is no new output.
  public func execute() throws -> CompressionReport {
    let start = ContinuousClock.now
    _ = try plan()
    let evaluation = try settings.evaluation.map { try MeasurementPlan($0, model: model) }
    let output = try OutputDirectory(
      settings.output, overwrite: settings.overwrite, resume: false, inputs: inputs, group: interpreter.group)
    var work = try PruningWork(self, interpreter: interpreter, spillingTo: output.partial)
    let written = try work.write(to: output)
    var report = try CompressionReport(
      of: written, from: model, by: recipe, settings, evaluation.map(EvaluationPlan.predictions), work.selection, interpreter: interpreter,
      progress: progress)
    report.pruning = work.section
    if scans, let evaluation {
      report.pruning?.scan = try SensitivityScan(
        model: model, pruning: pruning, evaluator: evaluation.evaluator(interpreter, within: settings.maximumMemory),
        pool: interpreter.pool, progress: progress
      ).points(on: evaluation.text)
      if pruning.importance.needsText {
        report.warnings.append(
          "the scan judges channels by l1: \(pruning.importance.rawValue) would take calibration for each of its models")
      }
    }
    report.warnings += work.warnings
    report.resources = ResourceMeter.resources(
      since: start, clock: ContinuousClock(), bytesRead: model.sourceBytes, bytesWritten: report.size?.outputBytes,
      threads: interpreter.pool.threads)
    try output.write(recipe.header() + recipe.yaml(), to: "recipe.yaml")
    try output.write(&report, card: recipe.card(of: written, from: settings.reference ?? model))
    try output.commit()
    return report
  }

  private var inputs: [URL] {
    [model.directory] + model.checkpoint.files + (calibration.map { [$0.file] } ?? []) + (settings.evaluation.map { [$0.text] } ?? [])
  }

  private var recipe: Recipe { Recipe(passes: [pruning], seed: seed, calibration: calibration) }
}

extension PruningRun: RecipeStage {
  func check(on graph: ModelGraph) throws -> ModelGraph { try plan(of: graph).graph }
}

extension StructuredPruning: StagePass {
  func stage(of recipe: Recipe, on model: ModelBundle, settings: RunSettings, progress: ProgressHandler?) -> any RecipeStage {
    PruningRun(
      model: model, pruning: self, calibration: recipe.calibration, seed: recipe.seed, settings: settings, progress: progress)
  }
}
