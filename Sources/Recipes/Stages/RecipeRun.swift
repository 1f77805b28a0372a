import Compression
import Diagnostics
import Distribution
import Execution
import Formats
import Foundation
import ModelGraph
import Reporting
import StructuredData

/// A whole recipe: stage after stage, each from the checkpoint that the one before it left, and one checkpoint and one report at the end.
///
/// A recipe that is a single stage writes its output directly. Of several, each leaves a checkpoint of its own in the unfinished output, which
/// the next one reads: memory is that of one stage, and a run that was stopped goes on behind the last one that was finished.
public struct RecipeRun {
  public let model: ModelBundle
  public let recipe: Recipe
  public let settings: RunSettings
  let progress: ProgressHandler?

  public init(model: ModelBundle, recipe: Recipe, settings: RunSettings, progress: ProgressHandler? = nil) {
    (self.model, self.recipe, self.settings, self.progress) = (model, recipe, settings, progress)
  }

  /// Checks all stages with their texts, and that the output can be written, without reading a weight.
  public func check() throws {
    try recipe.checkOrder(from: model.graph)
    try checkFormat()
    var graph = model.graph
    var settings = settings
    settings.reference = settings.reference ?? model
    for stage in recipe.stages {
      graph = try Recipe.stage(stage, on: model, settings: settings, progress: progress).check(on: graph)
    }
    try OutputDirectory.check(settings.output, overwrite: settings.overwrite, inputs: inputs, group: settings.group)
  }

  /// Stages of their own write safetensors in the types of their source.
  private func checkFormat() throws(RecipeError) {
    guard let last = recipe.passes.last as? any StagePass, recipe.format != .compressedTensors else { return }
    throw RecipeError(
      "format", "\(recipe.format.rawValue) is not written by \(type(of: last).identifier)",
      remedy: "leave it out, and use deepseek-optimize convert on the output", kind: .usage)
  }

  /// Runs the recipe.
  /// - Returns: the report that was written, too.
  /// - Throws: a `Failure`; then there is no new output.
  public func execute() throws -> CompressionReport {
    let stages = recipe.stages
    guard stages.count > 1 else {
      try checkFormat()
      if settings.resume, let pass = recipe.passes.first, pass is StructuredPruning || pass is ModuleReplacement {
        throw RecipeError(
          "--resume", "cannot continue \(type(of: pass).identifier), which saves nothing on its way", remedy: "run it again", kind: .usage)
      }
      return try Recipe.stage(recipe, on: model, settings: settings, progress: progress).execute()
    }
    try check()
    let output = try OutputDirectory(
      settings.output, overwrite: settings.overwrite, resume: settings.resume, inputs: inputs, group: settings.group)
    return try output.keepingWhatCounts {
      let journal = try StageJournal(self, in: output)
      // Nobody changes what another has not read yet.
      try output.synchronize()
      for (index, stage) in stages.enumerated() where index >= journal.finished {
        try settings.group.checkInterruption()
        let input = index == 0 ? model : try ModelBundle(opening: journal.directory(index - 1).path, families: model.families)
        progress?(StageProgress(stage: "Stage \(index + 1), \(stage.identifiers)", completed: index, total: stages.count))
        _ = try Recipe.stage(
          stage, on: input, settings: stageSettings(index, of: stages.count, journal), progress: progress
        ).execute()
        try output.synchronize()
        try journal.finish(index)
      }
      var report = try StagedReport(self, stages: stages, journal: journal).combined()
      try journal.adopt(stages.count - 1)
      try output.write(recipe.header() + recipe.yaml(), to: "recipe.yaml")
      try output.synchronize()
      let written = try ModelBundle(opening: output.partial.path, families: model.families)
      try output.write(&report, card: recipe.card(of: written, from: settings.reference ?? model))
      journal.remove()
      try output.commit()
      return report
    }
  }

  private func stageSettings(_ index: Int, of count: Int, _ journal: StageJournal) -> RunSettings {
    var stage = settings
    stage.output = journal.directory(index)
    stage.overwrite = true
    stage.resume = settings.resume && index == journal.finished
    stage.reference = settings.reference ?? model
    if index < count - 1 {
      stage.gates = AccuracyGates()
      stage.evaluation?.measuresSpeed = false
      stage.evaluation?.keyValueCache = .none
    }
    return stage
  }

  var inputs: [URL] {
    [model.directory] + model.checkpoint.files + recipe.inputFiles + (settings.evaluation.map { [$0.text] } ?? [])
  }
}

extension Recipe {
  /// How the recipe file in an output says what it is for.
  func header() -> String {
    """
    # \(Tool.name) \(Tool.version). The same checkpoint again:
    #   \(command)

    """
  }

  /// The line that makes the same checkpoint again.
  private var command: String {
    "deepseek-optimize run recipe.yaml --model MODEL --output OUTPUT\(calibration == nil ? "" : " --calibration TEXT")"
  }

  /// What the card of its output says.
  func card(of written: ModelBundle, from source: ModelBundle) -> ModelCard.Output {
    ModelCard.Output(of: written, as: format.resolved(for: source), from: source, relation, command: command)
  }

  /// What it makes of a model.
  var relation: ModelCard.Output.Relation? {
    if passes.contains(where: { type(of: $0).contract.establishes.contains(.quantizedWeights) }) { return .quantized }
    return passes.isEmpty ? nil : .finetune
  }

  /// Every file beside the model that it reads.
  var inputFiles: [URL] {
    adapterFiles + (calibration.map { [$0.file] } ?? []) + passes.compactMap { $0 as? any StagePass }.flatMap(\.files)
  }
}
